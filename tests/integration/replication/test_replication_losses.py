"""Losses that a person accepted: what was written and is gone, and disks that come back with it."""

import grpc
import pytest
from replicated.asking import ids_of, level, upsert, write

from vectorfleet_shardnode.api import replication_pb2 as rpb
from vectorfleet_shardnode.api import shard_pb2 as pb

LOST = {f"row-{n}" for n in range(10, 15)}


@pytest.fixture
def bereft(make_group):
    """Three replicas; r2 misses five acknowledged writes, the others are gone, and r2 goes on alone.

    Returned with the positions of the writes that are lost.
    """
    group = make_group(log_retained_bytes=10_000_000)
    for number in range(10):
        write(group, number)
    level(group)
    group.replicas[2].end()
    lost = [write(group, number).position for number in range(10, 15)]
    level(group, [0, 1])
    for number in (0, 1):
        group.replicas[number].end()
    group.replicas[2].start()
    group.wait_for(lambda: group.state(2))
    group.operator.accept_loss(2)
    group.wait_for(lambda: group.primary() == 2)
    return group, lost


def refusal(stub, position):
    """Return how a read is refused that demands a position."""
    with pytest.raises(grpc.RpcError) as refused:
        ids_of(stub, at_least=position)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    return refused.value


def is_lost(refused):
    """Tell whether it says, to people and programs, that the write is lost."""
    told = ("vectorfleet-refused", "lost") in refused.trailing_metadata()
    assert told == ("is lost" in refused.details())
    return told


def test_a_write_that_was_lost_is_named_lost(bereft):
    """Whether another one has its seq meanwhile or none has yet; those that were kept are seen."""
    group, lost = bereft
    assert all(is_lost(refusal(group.stubs[2], position)) for position in lost)
    for number in range(20, 40):
        newest = write(group, number).position
    assert newest.seq > lost[-1].seq
    assert all(is_lost(refusal(group.stubs[2], position)) for position in lost)
    kept = pb.Position(shard=0, epoch=1, seq=lost[0].seq - 1)
    for position in (kept, newest):
        assert not LOST & ids_of(group.stubs[2], at_least=position)
    nobodys = pb.Position(shard=0, epoch=newest.epoch, seq=newest.seq + 1_000)
    assert not is_lost(refusal(group.stubs[2], nobodys))


def test_a_disk_that_returns_with_what_was_given_up_is_filled_again(bereft):
    """It says that it has diverged, is shipped nothing, and shows nobody the one write in place of the other;
    told to give up its data, it begins anew, and is a copy. What was lost is on no replica then.
    """
    group, lost = bereft
    for number in range(20, 26):
        newest = write(group, number).position
    group.replicas[1].start()
    group.wait_for(lambda: group.state(1))
    old = group.state(1)
    group.operator.tell(learners=[1])
    group.wait_for(lambda: group.state(1).diverged)
    write(group, 26)
    told = group.state(1)
    assert (told.self.disk, told.role, told.caught_up) == (old.self.disk, rpb.LEARNER, False)
    assert told.last == old.last
    assert not is_lost(refusal(group.stubs[1], newest)), "it is this replica that went another way"
    epoch = group.operator.register.configuration.epoch
    fresh = group.stubs[1].Rebuild(rpb.RebuildRequest(disk=old.self.disk, epoch=epoch), timeout=30).disk
    group.wait_for(lambda: (state := group.state(1)) and state.self.disk == fresh != old.self.disk)
    group.operator.tell(learners=[1])
    level(group, [1, 2])
    group.operator.change([1, 2])
    write(group, 27)
    level(group, [1, 2])
    assert ids_of(group.stubs[1]) == ids_of(group.stubs[2])
    assert ids_of(group.stubs[1]) == {f"row-{n}" for n in (*range(10), *range(20, 28))}
    assert is_lost(refusal(group.stubs[1], lost[0]))
    assert group.stubs[group.primary()].Write(upsert(28)).affected == 1
