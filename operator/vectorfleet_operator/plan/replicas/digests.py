"""Whether replicas hold the same rows: digests that were taken behind the same record are compared."""

import collections
import dataclasses

from ... import replication
from . import view as view_


@dataclasses.dataclass(frozen=True)
class Divergence:
    """A member whose rows differ from those of others."""

    member: replication.Member
    outvoted: bool
    """Most members agree with each other and not with it."""
    advice: str


def diverged(view: view_.ShardView) -> Divergence | None:
    """Return a member that differs from another, the outvoted one where there is a majority."""
    assert view.committed is not None
    taken = {member: _by_position(view, member) for member in view.alive()}
    places = sorted({at for digests in taken.values() for at in digests}, reverse=True)
    for at in places:
        votes = {member: digests[at] for member, digests in taken.items() if at in digests}
        if len(set(votes.values())) > 1:
            return _judge(view.committed, at, votes)
    return None


def _judge(
    committed: replication.Configuration,
    at: replication.Position,
    votes: dict[replication.Member, replication.Digest],
) -> Divergence:
    common, count = collections.Counter(votes.values()).most_common(1)[0]
    others = [member for member, digest in votes.items() if digest != common]
    place = f"at seq {at.seq} of epoch {at.epoch}"
    if 2 * count > len(committed.members) and count >= 2:
        member = others[0]
        message = f"{member.name} holds other rows than {count} of {len(committed.members)} members {place}"
        return Divergence(member, outvoted=True, advice=message)
    names = ", ".join(sorted(member.name for member in votes))
    message = (
        f"{names} hold different rows {place}, and no majority says which are right: compare them, and "
        "delete the pod and the volume claim of the replica that is wrong; it is filled again from the other"
    )
    return Divergence(others[0], outvoted=False, advice=message)


def _by_position(
    view: view_.ShardView, member: replication.Member
) -> dict[replication.Position, replication.Digest]:
    state = view.state(member.name)
    return {digest.at: digest for digest in (state.digests if state else ())}
