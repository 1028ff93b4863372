"""The guards of a shard's configuration: each says why something is not done now, or None where it may be."""

from collections.abc import Collection, Iterable

from ... import replication
from ..actions import Refusal
from . import view as view_

SILENCE_SECONDS = 2.0
"""For how long followers must not have heard of a primary before it counts as gone."""
LAG_RECORDS = 1000
"""How many committed records a replica may lack and still join: it is shipped the rest while it does.

Where there is no write quorum without it, writes stand still meanwhile, and a count of records does not say
for how long: there it has to hold all that was committed a look ago.
"""

NO_ROOM = "NoRoom"
_View = view_.ShardView


def primary_really_gone(view: _View) -> Refusal | None:
    """Refuse to promote while anybody hears of the primary: one that is cut off from us alone still leads."""
    assert view.committed is not None
    name = view.committed.primary
    if view.heard.get(name, view_.NEVER).answers:
        return Refusal("PrimaryAnswers", f"the primary {name} answers")
    if view.refuses(name):
        return None
    pod = view.pods.get(name)
    if pod is None or pod.failed or pod.terminating:
        return None
    if view.missed(name) < view_.PATIENCE:
        return Refusal("PrimarySilent", f"the primary {name} has missed {view.missed(name)} looks")
    hearing = [
        member.name
        for member in view.alive()
        if member.name != name and silence(view, member.name) < SILENCE_SECONDS
    ]
    if hearing:
        message = f"the primary {name} does not answer the operator, but {_join(hearing)} hears of it"
        return Refusal("PrimaryHeard", message)
    return None


def seal_quorum_answers(view: _View, without: Iterable[str] = ()) -> Refusal | None:
    """Refuse a change while too few members answer to be sealed."""
    assert view.committed is not None
    left_out = set(without)
    able = [member for member in view.alive() if member.name not in left_out]
    needed = view.committed.seal_quorum
    if len(able) >= needed:
        return None
    return Refusal(
        "QuorumLost", f"{len(able)} of {len(view.committed.members)} members answer; {needed} must"
    )


def new_quorum_answers(
    view: _View, members: tuple[replication.Member, ...], without: Iterable[str] = ()
) -> Refusal | None:
    """Refuse a change that could not be committed: too few of its members would hold the log."""
    left_out, learners = set(without), view.learners()
    able = [one for one in members if view.is_alive(one) and one.name not in left_out]
    able += [one for one in members if one in learners]
    needed = replication.write_quorum(len(members), every=view.wanted.every)
    if len(able) >= needed:
        return None
    return Refusal("QuorumLost", f"{len(able)} of {len(members)} members answer; {needed} must")


def primary_leads(view: _View) -> Refusal | None:
    """Refuse what counts on the primary's log while it is not known to be in office."""
    assert view.committed is not None
    name = view.committed.primary
    state = view.state(name)
    if state is None or not view.heard[name].answers:
        return Refusal("PrimarySilent", f"waiting for the primary {name} to answer")
    if state.role is not replication.Role.PRIMARY or state.known_epoch != view.committed.epoch:
        return Refusal("PrimaryNotServing", f"waiting for the primary {name} to take writes")
    return None


def primary_serves(view: _View) -> Refusal | None:
    """Refuse what has time while the primary does not take writes."""
    assert view.committed is not None
    if (refusal := primary_leads(view)) is not None:
        return refusal
    state = view.state(view.committed.primary)
    if state is None or not state.acknowledges:
        name = view.committed.primary
        return Refusal("PrimaryNotServing", f"waiting for the primary {name} to take writes")
    return None


def sound_majority(view: _View, name: str) -> Refusal | None:
    """Refuse to give up what is left of a member's data unless most members hold a copy that is level."""
    assert view.committed is not None
    count = len(view.committed.members)
    level = [one for one in view.alive() if one.name != name and is_level(view, one.name)]
    if 2 * len(level) > count:
        return None
    message = f"{len(level)} of {count} members hold a sound copy that is level, and more than half must"
    if 2 * len(view.sound()) > count:
        return Refusal("NoMajority", message)
    advice = f"give {name} its files back, or delete its pod and its volume claim to have it filled again"
    return Refusal("NoMajority", f"{message}: {advice}", stalls=True)


def others_are_sound(view: _View, leavers: Collection[str]) -> Refusal | None:
    """Refuse to take out copies while the data of a member that stays is damaged."""
    assert view.committed is not None
    staying = [one for one in view.committed.members if one.name not in leavers]
    broken = [one.name for one in staying if view.is_damaged(one)]
    message = f"{_join(leavers)} stays: the data of {broken[0]} is damaged" if broken else ""
    return Refusal("ReplicaDamaged", message) if broken else None


def nobody_else_is_filled(view: _View, name: str) -> Refusal | None:
    """Refuse to fill one replica again while another one is filled that is to take its old place."""
    assert view.committed is not None
    others = [one.name for one in view.learners() if one.name != name and view.committed.member(one.name)]
    return Refusal("OneAtATime", f"{name} waits: {others[0]} is being filled") if others else None


def quorum_has_room(view: _View, why: str) -> Refusal | None:
    """Refuse to move the post for want of room where a write quorum has none either."""
    assert view.committed is not None
    count, needed = len(view.committed.members), view.committed.write_quorum
    roomy = [one.name for one in view.alive() if has_room(view, one.name)]
    if len(roomy) >= needed:
        return None
    message = (
        f"{why}, and {len(roomy)} of {count} members have some, where a write needs {needed}: delete rows, "
        "or enlarge spec.storage.size"
    )
    return Refusal(NO_ROOM, message)


def has_room(view: _View, name: str) -> bool:
    """Return whether a replica answers, and its disk takes what grows."""
    state = view.state(name)
    return state is not None and not state.no_room


def is_level(view: _View, name: str) -> bool:
    """Return whether a replica holds all that was committed, as far as it has heard."""
    state = view.state(name)
    return state is not None and (state.caught_up or state.role is replication.Role.PRIMARY)


def one_member_at_a_time(view: _View, name: str, but: Collection[str] = ()) -> Refusal | None:
    """Refuse to take one member away while another one is away or behind, `but` for some."""
    assert view.committed is not None
    for member in view.committed.members:
        if member.name not in (name, *but) and (trouble := _trouble(view, member)):
            return Refusal("OneAtATime", f"{name} waits: {trouble}")
    return None


def quorum_survives(view: _View, name: str) -> Refusal | None:
    """Refuse to take away a member without which writes would be refused, where others could carry on."""
    assert view.committed is not None
    left = [member for member in view.alive() if member.name != name]
    if len(view.committed.members) > 2 and len(left) < view.committed.write_quorum:
        return Refusal("QuorumAtStake", f"without {name} writes would be refused")
    return None


def joiner_is_caught_up(view: _View, joiner: replication.Member) -> Refusal | None:
    """Refuse to count on a replica before it holds nearly all that the primary does."""
    assert view.committed is not None
    primary = view.state(view.committed.primary)
    follower = next(
        (
            one
            for one in (primary.followers if primary else ())
            if (one.name, one.disk) == (joiner.name, joiner.disk)
        ),
        None,
    )
    if primary is None or follower is None:
        return Refusal("CatchingUp", f"{joiner.name} is not shipped the log yet")
    if (joining := view.state(joiner.name)) is not None and (unfit := _is_no_copy(joining)) is not None:
        return unfit
    lacks = max(0, primary.committed - follower.verified)
    if follower.copying or lacks > LAG_RECORDS:
        what = "copies segments" if follower.copying else f"lacks {lacks} records"
        return Refusal("CatchingUp", f"{joiner.name} {what}")
    if follower.verified < _committed_before(view) and _waited_for(view, joiner):
        return Refusal("CatchingUp", f"{joiner.name} lacks {lacks} records, and writes would wait for it")
    if follower.silence_seconds > SILENCE_SECONDS:
        return Refusal("CatchingUp", f"the primary has not heard of {joiner.name} lately")
    return None


def _is_no_copy(state: replication.ReplicaState) -> Refusal | None:
    """Return why a replica won't be one by itself."""
    if state.diverged:
        return Refusal("GivenUp", f"{state.name} holds what was given up when a loss was accepted")
    return has_room_to_copy(state)


def has_room_to_copy(state: replication.ReplicaState) -> Refusal | None:
    """Refuse to wait in silence for a replica whose volume can't take the segments that it lacks."""
    if not state.no_room_to_copy:
        return None
    return Refusal(
        "NoRoomToCopy",
        f"{state.name} can't catch up: {state.no_room_to_copy}; it tries again each minute, and as soon as "
        "there is room. Or delete its pod and its claim: a new volume need not hold old data beside",
    )


def _committed_before(view: _View) -> int:
    """Return up to where the primary had committed a look ago; all of it where there was none."""
    assert view.committed is not None
    heard = view.heard[view.committed.primary]
    now = heard.state.committed if heard.state is not None else 0
    return now if heard.committed_before is None else heard.committed_before


def _waited_for(view: _View, joiner: replication.Member) -> bool:
    """Return whether no write quorum would be left without a replica that joins, or takes its old place."""
    assert view.committed is not None
    count = len({*view.committed.names, joiner.name})
    others = [one for one in view.alive() if one.name != joiner.name]
    return len(others) < replication.write_quorum(count, every=view.wanted.every)


def claim_is_there(view: _View, name: str) -> Refusal | None:
    """Refuse to count on a replica whose old volume is still being deleted: it will lose what it has."""
    if name not in view.lost_claims:
        return None
    return Refusal(
        "VolumeTerminating", f"the volume claim of {name} is being deleted; waiting until it is gone"
    )


def reads_go_on(view: _View, name: str) -> Refusal | None:
    """Refuse to restart a replica that alone answers reads, where others have to be back to write anyway."""
    others = [one for one in view.heard if one != name and view.state(one) is not None]
    alone = view.committed is None or len(view.committed.members) == 1
    if others or alone:
        return None
    return Refusal("ReadsAtStake", f"{name} needs a restart, and no other replica answers reads meanwhile")


def restart_is_due(view: _View, name: str) -> Refusal | None:
    """Refuse to restart again at once a replica that a restart has not helped."""
    seconds = view.restart_rests.get(name, 0.0)
    if seconds <= 0:
        return None
    return Refusal("BackingOff", f"{name} was restarted, and needs it again: in {seconds:.0f} s")


def no_storm(view: _View) -> Refusal | None:
    """Refuse to try again at once after attempts that failed, or after changes in quick succession."""
    if view.rest_seconds <= 0:
        return None
    return Refusal("BackingOff", f"the next change is tried in {view.rest_seconds:.0f} s")


def _trouble(view: _View, member: replication.Member) -> str:
    state, pod = view.state(member.name), view.pods.get(member.name)
    if state is None or not view.heard[member.name].answers:
        unable = view.inability(member.name)
        return f"{member.name} " + (f"serves nothing: {unable.reason}" if unable else "does not answer")
    if view.is_lost(member):
        return f"{member.name} has lost its volume"
    if state.role is replication.Role.FOLLOWER and not state.caught_up:
        return f"{member.name} catches up"
    if state.leaving or (pod is not None and (pod.terminating or not pod.ready)):
        return f"{member.name} is not ready"
    if pod is None and view.pods:
        return f"{member.name} has no pod"
    return f"the volume claim of {member.name} is being deleted" if member.name in view.lost_claims else ""


def silence(view: _View, name: str) -> float:
    """Return for how long a follower has not heard of its primary; for ever where it does not answer."""
    state = view.state(name)
    return state.primary_silence_seconds if state is not None else float("inf")


def _join(names: Iterable[str]) -> str:
    return ", ".join(names)
