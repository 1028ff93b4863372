"""The role of a replica: what it may do as a leader, as a follower, and once its log has failed."""

import pytest

from vectorfleet_shardnode import errors, records, roles
from vectorfleet_shardnode.log import log_format, log_index


def entry(epoch):
    """Return a record of an epoch."""
    return log_format.Entry(epoch, 5, records.Op.START, b"")


@pytest.mark.parametrize(("last", "resumes"), [(2, False), (3, True)])
def test_it_leads_the_epoch_that_it_has_promised(last, resumes):
    """A new one behind the end of its log, or that which its log ends in."""
    roles.Role(0).check_may_lead(3, log_index.Position(last, 9), 3, resumes=resumes)


@pytest.mark.parametrize(
    ("leads", "last", "promised", "resumes"),
    [
        (0, 3, 3, False),  # the log has records of that epoch already
        (0, 2, 3, True),  # there is nothing to resume
        (0, 2, 4, False),  # another epoch was promised meanwhile
        (2, 2, 3, False),  # it leads
    ],
)
def test_it_leads_no_other(leads, last, promised, resumes):
    """And is told what it is that stands against it."""
    told = f"ends in epoch {last}, {promised} is promised, and {leads or 'none'} is led"
    with pytest.raises(errors.ShardError, match=told):
        roles.Role(leads).check_may_lead(3, log_index.Position(last, 9), promised, resumes=resumes)


def test_only_a_leader_takes_writes_and_only_a_follower_records():
    """And records only of epochs that it has promised."""
    leader, follower = roles.Role(3), roles.Role(0)
    leader.check_leading()
    follower.check_following(3, [entry(2), entry(3)])
    with pytest.raises(errors.NotPrimaryError):
        follower.check_leading()
    with pytest.raises(errors.ShardError, match="its log is its own"):
        leader.check_following(3)
    with pytest.raises(errors.ShardError, match="records of epoch 4 came, but 3 is promised"):
        follower.check_following(3, [entry(4)])


@pytest.mark.parametrize("epoch", [0, 3])
def test_nothing_is_allowed_once_the_log_has_failed(epoch):
    """Each asker is told the failure itself."""
    role = roles.Role(epoch)
    with pytest.raises(errors.LogFailedError, match="EIO"), role.failing():
        raise errors.LogFailedError("EIO")
    checks = (
        role.check_leading,
        lambda: role.check_may_lead(4, log_index.Position(3, 9), 4, resumes=False),
        lambda: role.check_following(4),
    )
    for check in checks:
        with pytest.raises(errors.LogFailedError, match="EIO"):
            check()
