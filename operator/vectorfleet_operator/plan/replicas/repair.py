"""What keeps a shard serving: replicas learn what was committed, and a primary that is gone is replaced."""

from ... import replication
from ..actions import Refusal
from . import guards, ranking, steps
from . import view as view_

CUT_OFF_SECONDS = 3.0
"""For how long a primary must not have reached a quorum before another one is tried."""


def tell(view: view_.ShardView) -> steps.Tell | None:
    """Return who has to be told what is committed: the primary first, it acknowledges nothing before."""
    assert view.committed is not None
    late = [member.name for member in view.alive() if _knows_less(view, member.name)]
    learners = view.learners()
    primary = view.committed.primary
    if primary not in late and view.state(primary) and _lacks_learners(view, learners):
        late.append(primary)
    late += [one.name for one in learners if _knows_less(view, one.name)]
    ordered = sorted(late, key=lambda name: name != primary)
    return steps.Tell(tuple(ordered), view.committed, learners) if ordered else None


def promotion(view: view_.ShardView) -> steps.Step | Refusal | None:
    """Return the change that gives the shard a primary, where it has none that could acknowledge."""
    assert view.committed is not None
    primary = view.committed.member(view.committed.primary)
    if primary is None or view.is_lost(primary):
        return _promote(view, f"the primary {view.committed.primary} has lost its volume")
    if sealed := _sealed_since(view):
        return _promote(view, f"{sealed} was sealed for a change that was not completed")
    heard = view.heard.get(primary.name, view_.NEVER)
    if not heard.answers:
        refusal = guards.primary_really_gone(view)
        return refusal or _promote(view, _why_gone(view, primary), without=(primary.name,))
    assert heard.state is not None
    if heard.state.needs_restart:
        why = f"the primary {primary.name} can't go on until a restart"
        return _promote(view, why, without=(primary.name,), unsealed=(primary.name,))
    if _is_cut_off(view, heard.state):
        why = f"the primary {primary.name} is cut off from the other members"
        return _promote(view, why, without=(primary.name,), unsealed=(primary.name,))
    return None


def _why_gone(view: view_.ShardView, primary: replication.Member) -> str:
    if view.is_damaged(primary):
        return f"the data of {primary.name} is damaged"
    unable = view.inability(primary.name) is not None
    return f"the primary {primary.name} " + ("serves nothing" if unable else "is gone")


def leaving(view: view_.ShardView) -> steps.Step | Refusal | None:
    """Return the change that takes the post from a primary that was told to stop."""
    assert view.committed is not None
    name = view.committed.primary
    state, pod = view.state(name), view.pods.get(name)
    if state is None or not (state.leaving or (pod is not None and pod.terminating)):
        return None
    return hand_over(view, f"{name} stops") if len(view.committed.members) > 1 else None


def hand_over(view: view_.ShardView, why: str) -> steps.Step | Refusal:
    """Return the change by which another member leads, with the same members.

    The primary itself is not sealed where the others suffice: while writes come its log is always the
    longest, by what nobody has acknowledged, so among the sealed it would win again.
    """
    assert view.committed is not None
    name = view.committed.primary
    others = (one.name for one in view.alive() if one.name != name)
    prefer = tuple(one for one in ranking.rank(view, others) if guards.is_level(view, one))
    if not prefer:
        return Refusal("NoSuccessor", f"{why}, and no other member could lead")
    apart = change(view, steps.Kind.HAND_OVER, why, prefer=prefer, unsealed=(name,))
    if isinstance(apart, Refusal):
        return change(view, steps.Kind.HAND_OVER, why, prefer=prefer)
    return apart


def change(
    view: view_.ShardView,
    kind: steps.Kind,
    why: str,
    members: tuple[replication.Member, ...] = (),
    *,
    prefer: tuple[str, ...] = (),
    unsealed: tuple[str, ...] = (),
) -> steps.Step | Refusal:
    """Return a change of the committed configuration, where enough members answer for it.

    Args:
        view: the shard.
        kind: what kind of change it is.
        why: for people.
        members: the new ones; where not given, those whose disks are there.
        prefer: who is to lead, the best first; where not given, the usual rank.
        unsealed: members that are left alone, since they could not do what they would be told.
    """
    assert view.committed is not None
    chosen = members or view.survivors()
    refusal = guards.seal_quorum_answers(view, unsealed) or guards.new_quorum_answers(view, chosen, unsealed)
    if refusal is not None:
        return refusal
    return steps.Change(
        kind=kind,
        base=view.committed,
        members=chosen,
        sealers=tuple(one for one in view.survivors() if one.name not in unsealed),
        needed=view.committed.seal_quorum,
        every=view.wanted.every,
        prefer=prefer or ranking.rank(view, (one.name for one in chosen)),
        insists=kind is steps.Kind.HAND_OVER,
        why=why,
    )


def _promote(
    view: view_.ShardView, why: str, *, without: tuple[str, ...] = (), unsealed: tuple[str, ...] = ()
) -> steps.Step | Refusal:
    members = _able(view, without)
    refusal = guards.new_quorum_answers(view, members, without)
    if refusal is not None:
        return Refusal(refusal.reason, f"{why}; {refusal.message}")
    prefer = ranking.rank(view, (one.name for one in members if one.name not in without))
    return change(view, steps.Kind.PROMOTE, why, members, prefer=prefer, unsealed=unsealed)


def _able(view: view_.ShardView, without: tuple[str, ...]) -> tuple[replication.Member, ...]:
    """Return the members that go on.

    Where writes would wait: without damaged ones if most are sound, without silent ones that nobody wants.
    """
    assert view.committed is not None
    everyone, sound = view.survivors(), view.sound()
    if guards.new_quorum_answers(view, everyone, without) is None:
        return everyone
    most = 2 * sum(view.is_alive(one) for one in sound) > len(view.committed.members)
    able = sound if most else everyone
    return tuple(one for one in able if one.name in view.wanted.names or view.is_alive(one)) or able


def _knows_less(view: view_.ShardView, name: str) -> bool:
    state = view.state(name)
    assert view.committed is not None
    return state is not None and state.known_epoch < view.committed.epoch


def _lacks_learners(view: view_.ShardView, learners: tuple[replication.Member, ...]) -> bool:
    assert view.committed is not None
    state = view.state(view.committed.primary)
    if state is None or state.role is not replication.Role.PRIMARY:
        return False
    shipped = {(one.name, one.disk) for one in state.followers}
    members = {(one.name, one.disk) for one in view.committed.members}
    return shipped - members != {(one.name, one.disk) for one in learners}


def _sealed_since(view: view_.ShardView) -> str:
    """Return a member that has promised a newer epoch than the committed one, so that its primary is out."""
    assert view.committed is not None
    for member in view.alive():
        state = view.state(member.name)
        if state is not None and state.promised > view.committed.epoch:
            return member.name
    return ""


def _is_cut_off(view: view_.ShardView, state: replication.ReplicaState) -> bool:
    assert view.committed is not None
    in_office = state.role is replication.Role.PRIMARY and state.known_epoch == view.committed.epoch
    if not in_office or state.acknowledges or state.quorum_silence_seconds < CUT_OFF_SECONDS:
        return False
    others = [one.name for one in view.alive() if one.name != state.name]
    unheard = all(guards.silence(view, name) >= guards.SILENCE_SECONDS for name in others)
    return unheard and guards.new_quorum_answers(view, view.survivors(), (state.name,)) is None
