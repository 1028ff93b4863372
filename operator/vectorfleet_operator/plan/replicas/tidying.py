"""What brings a shard that serves to what the spec asks for: members come, go and are filled again.

Who holds the shard may change while writes wait for a member that takes nothing, as one whose disk is full:
it may be just what helps. So the primary has to be in office, and need not acknowledge.
"""

from ... import replication
from ..actions import Refusal
from . import digests, guards, repair, steps
from . import view as view_

Verdict = steps.Step | Refusal | None


def drop_lost(view: view_.ShardView) -> Verdict:
    """Go on without members whose disks are gone, where writes would have to wait for them otherwise."""
    assert view.committed is not None
    lost = _lost(view)
    if not lost or len(view.alive()) >= view.committed.write_quorum:
        return None
    return repair.change(
        view, steps.Kind.DROP, f"the volume of {lost[0].name} is gone, and writes wait for it"
    )


def overtake(view: view_.ShardView) -> Verdict:
    """Let the epoch pass what a learner promised in a change that failed: it takes nothing of older ones."""
    assert view.committed is not None
    for learner in view.learners():
        state = view.state(learner.name)
        promised = state.promised if state is not None else 0
        if promised > view.reserved:
            return steps.Reserve(promised, f"{learner.name} has promised it")
        if promised > view.committed.epoch:
            why = f"{learner.name} has promised epoch {promised} and follows no primary of an older one"
            return guards.primary_leads(view) or repair.change(view, steps.Kind.RECONFIGURE, why)
    return None


def replace(view: view_.ShardView) -> Verdict:
    """Let a replica with a new disk take the place of the one that it lost."""
    assert view.committed is not None
    for member in _lost(view):
        joiner = next((one for one in view.learners() if one.name == member.name), None)
        if joiner is None:
            continue
        refusal = (
            guards.claim_is_there(view, joiner.name)
            or guards.primary_leads(view)
            or guards.joiner_is_caught_up(view, joiner)
        )
        if refusal is not None:
            return refusal
        members = tuple(joiner if one == member else one for one in view.committed.members)
        return repair.change(view, steps.Kind.REPLACE, f"{joiner.name} has a new volume", members)
    return None


def remove(view: view_.ShardView) -> Verdict:
    """Take out a member that the spec does not ask for any more, one that is no copy or is silent first.

    A primary first hands over. Where writes wait for such that are silent, all of those go at once: until
    then the primary can't serve.
    """
    assert view.committed is not None
    extra = [one for one in view.committed.members if one.name not in view.wanted.names]
    silent = [one for one in extra if not view.is_alive(one)]
    if not extra:
        return None
    if silent and len(view.alive()) < view.committed.write_quorum:
        return guards.primary_leads(view) or _take_out(view, silent)
    leaver = max(extra, key=lambda one: (not _is_sound(view, one), one in silent, len(one.name), one.name))
    if leaver.name == view.committed.primary:
        return guards.primary_serves(view) or repair.hand_over(view, f"{leaver.name} is to be taken out")
    return guards.primary_leads(view) or _take_out(view, [leaver])


def _take_out(view: view_.ShardView, leavers: list[replication.Member]) -> Verdict:
    assert view.committed is not None
    members = tuple(one for one in view.committed.members if one not in leavers)
    why = f"the spec asks for {len(view.wanted.names)} replicas"
    names = tuple(one.name for one in leavers)
    if (refusal := guards.others_are_sound(view, names)) is not None:
        return refusal
    # A leaver that were sealed could win, by being the only one to answer in time, and would stay. It is not
    # needed: of those that stay no fewer have to hold the log than have to be sealed.
    return repair.change(view, steps.Kind.REMOVE, why, members, unsealed=names)


def join(view: view_.ShardView) -> Verdict:
    """Take in a replica that is wanted, once it holds nearly everything."""
    assert view.committed is not None
    names = view.committed.names
    waiting = [name for name in view.wanted.names if name not in names]
    for joiner in view.learners():
        if joiner.name not in waiting:
            continue
        refusal = (
            guards.claim_is_there(view, joiner.name)
            or guards.primary_leads(view)
            or guards.one_member_at_a_time(view, joiner.name)
            or guards.joiner_is_caught_up(view, joiner)
        )
        if refusal is not None:
            return refusal
        members = (*view.committed.members, joiner)
        return repair.change(view, steps.Kind.JOIN, f"{joiner.name} has caught up", members)
    return Refusal("CatchingUp", f"waiting for {waiting[0]} to answer") if waiting else None


def reconfigure(view: view_.ShardView) -> Verdict:
    """Let the write quorum be what the spec asks for."""
    assert view.committed is not None
    count = len(view.committed.members)
    quorum = replication.write_quorum(count, every=view.wanted.every)
    if quorum == view.committed.write_quorum:
        return None
    why = f"writes are to be on {quorum} of {count} disks"
    return guards.primary_leads(view) or repair.change(view, steps.Kind.RECONFIGURE, why)


def rebuild(view: view_.ShardView) -> Verdict:
    """Let a replica whose rows differ from those of most others give them up and be filled again."""
    assert view.committed is not None
    found = digests.diverged(view)
    if found is None:
        return None
    if not found.outvoted:
        return Refusal("ReplicaDiverged", found.advice, stalls=True)
    refusal = (
        guards.primary_serves(view)
        or guards.one_member_at_a_time(view, found.member.name)
        or guards.quorum_survives(view, found.member.name)
    )
    if refusal is not None:
        return refusal
    if found.member.name == view.committed.primary:
        return repair.hand_over(view, f"the rows of {found.member.name} differ from those of the others")
    return steps.Rebuild(found.member, view.committed.epoch, found.advice)


def _is_sound(view: view_.ShardView, member: replication.Member) -> bool:
    return member in view.sound()


def _lost(view: view_.ShardView) -> list[replication.Member]:
    assert view.committed is not None
    return [member for member in view.committed.members if view.is_lost(member)]
