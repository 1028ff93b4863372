"""How a shard stands, in conditions: what they mean and what to do is in docs/replication.md. PURE."""

import dataclasses
from collections.abc import Iterator, Mapping

from ... import ports, replication
from ...api import condition
from ..actions import Refusal
from . import damage, digests, guards, inability, loss, repair, steps
from . import view as view_

DEGRADED = "Degraded"
QUORUM_LOST = "QuorumLost"
SHARD_LOST = "ShardLost"
REPLICA_DIVERGED = "ReplicaDiverged"
REPLICA_DAMAGED = "ReplicaDamaged"
REPLICA_UNABLE = "ReplicaUnable"
CONFIGURATION_LOST = "ConfigurationLost"
OWN = (
    *(DEGRADED, QUORUM_LOST, SHARD_LOST, REPLICA_DIVERGED),
    *(REPLICA_DAMAGED, REPLICA_UNABLE, CONFIGURATION_LOST),
)
"""Types that say how the replicas of a shard stand; all are bad while they are True."""


@dataclasses.dataclass(frozen=True)
class Standing:
    """One shard at the end of a pass."""

    view: view_.ShardView
    decision: steps.Decision
    reports: Mapping[str, ports.ShardReport]
    """By the replicas' names, of those that answered lately."""

    @property
    def chief(self) -> ports.ShardReport | None:
        """The report that speaks for the shard: its primary's, else that of the most advanced replica."""
        committed = self.view.committed
        able = {name: one for name, one in self.reports.items() if not self.view.refuses(name)}
        if committed is not None and committed.primary in able:
            return able[committed.primary]
        return max(able.values(), key=lambda one: (one.epoch, one.seq), default=None)


def serves(standing: Standing) -> bool:
    """Return whether the shard takes writes."""
    view = standing.view
    if view.committed is None:
        return False
    state = view.state(view.committed.primary)
    in_office = state is not None and state.role is replication.Role.PRIMARY
    return bool(in_office and state and state.known_epoch == view.committed.epoch and state.acknowledges)


def explain(standing: Standing) -> tuple[str, str]:
    """Return why a shard does not serve, as reason and message."""
    told = next(iter(standing.decision.refusals), None)
    if told is not None:
        return told.reason, told.message
    step = standing.decision.step
    return "NotReady", step.why if step is not None else "its primary does not take writes"


def conditions(standing: Standing) -> tuple[condition.Condition, ...]:
    """Return the conditions that hold, apart from Ready, without their times."""
    return tuple(
        condition.build_condition(kind, True, refusal.reason, refusal.message)
        for kind, refusal in _troubles(standing)
    )


def no_room(standing: Standing) -> str:
    """Return why a primary without room keeps its post, empty where that is not so."""
    refusals = standing.decision.refusals
    return next((one.message for one in refusals if one.reason == guards.NO_ROOM), "")


def stall(standing: Standing) -> Refusal | None:
    """Return why only a person can make the shard serve again, None where that is not so."""
    if serves(standing):
        return None
    return next((one for one in standing.decision.refusals if one.stalls), None)


def ready_members(view: view_.ShardView) -> int:
    """Return how many members answer and have caught up."""
    states = [view.state(member.name) for member in view.alive()]
    leads = replication.Role.PRIMARY
    return sum(state is not None and (state.caught_up or state.role is leads) for state in states)


def lag(view: view_.ShardView, name: str) -> int:
    """Return how many records of the primary a replica lacks; 0 where either is silent."""
    state = view.state(name)
    head = view.state(view.committed.primary) if view.committed else None
    return max(0, head.last.seq - state.last.seq) if head is not None and state is not None else 0


def greatest_lag(view: view_.ShardView) -> int:
    """Return what the replica lacks that is farthest behind, members and those that are to be."""
    return max((lag(view, name) for name in view.heard), default=0)


def _troubles(standing: Standing) -> Iterator[tuple[str, Refusal]]:
    view = standing.view
    if (broken := _damaged(view)) is not None:
        yield REPLICA_DAMAGED, broken
    if (told := inability.explain(view)) is not None:
        yield REPLICA_UNABLE, told
    if view.committed is None:
        for one in standing.decision.refusals:
            if one.reason == CONFIGURATION_LOST:
                yield CONFIGURATION_LOST, one
        return
    if degraded := list(_shortcomings(view)):
        message = "; ".join(one.message for one in degraded)
        yield DEGRADED, Refusal(degraded[0].reason, message)
    if (lost := _quorum_lost(view)) is not None:
        yield QUORUM_LOST, lost
    if loss.is_lost(view):
        why = next((one for one in standing.decision.refusals if one.reason == SHARD_LOST), None)
        yield SHARD_LOST, why or Refusal(SHARD_LOST, "a person has accepted the loss; it is carried out")
    if (found := digests.diverged(view)) is not None:
        yield REPLICA_DIVERGED, Refusal("Outvoted" if found.outvoted else "NoMajority", found.advice)


def _shortcomings(view: view_.ShardView) -> Iterator[Refusal]:
    """Yield what keeps the shard from having all the copies that it should."""
    assert view.committed is not None
    for member in view.committed.members:
        state = view.state(member.name)
        if view.is_lost(member):
            yield Refusal("ReplicaLost", f"{member.name} has lost its volume")
        elif view.is_damaged(member):
            yield Refusal(REPLICA_DAMAGED, f"the data of {member.name} is damaged")
        elif view.inability(member.name) is not None:
            yield Refusal(REPLICA_UNABLE, f"{member.name} serves nothing")
        elif state is None:
            yield Refusal("ReplicaSilent", f"{member.name} does not answer")
        elif state.problem:
            yield Refusal("ReplicaStuck", f"{member.name}: {state.problem}")
        elif state.role is replication.Role.FOLLOWER and not state.caught_up:
            yield _behind(state)
    for name in view.wanted.names:
        if view.committed.member(name) is None:
            joiner = next((one for one in view.learners() if one.name == name), None)
            refusal = guards.joiner_is_caught_up(view, joiner) if joiner is not None else None
            yield refusal or Refusal("ReplicaJoining", f"{name} is no member yet")


def _behind(state: replication.ReplicaState) -> Refusal:
    if (cramped := guards.has_room_to_copy(state)) is not None:
        return cramped
    if not state.unreadable:
        return Refusal("ReplicaCatchingUp", f"{state.name} catches up")
    return Refusal(
        "ReplicaTooOld",
        f"{state.name} can't read what the primary, which is of a newer version, copies to it: "
        f"{state.unreadable}. It serves what it has, and catches up once its pod runs the newer image",
    )


def _damaged(view: view_.ShardView) -> Refusal | None:
    """Return whose data is damaged, and what is done about it or why nothing is; None where no one's is."""
    judged = {name: damage.judge(view, name) for name in damage.damaged(view)}
    if not judged:
        return None
    told = {
        name: Refusal("Rebuilding", "it is filled again") if isinstance(verdict, steps.Rebuild) else verdict
        for name, verdict in judged.items()
    }
    messages = (f"{name}: {_reason(view, name)}; {one.message}" for name, one in told.items())
    return Refusal(next(iter(told.values())).reason, "; ".join(messages))


def _reason(view: view_.ShardView, name: str) -> str:
    found = view.damage(name)
    return found.reason if found is not None else ""


def _quorum_lost(view: view_.ShardView) -> Refusal | None:
    assert view.committed is not None
    alive, needed = view.alive(), view.committed.write_quorum
    if len(alive) >= needed:
        return _nothing_taken(view)
    missing = ", ".join(one.name for one in view.committed.members if one not in alive)
    verb = "is sound again" if any(view.is_damaged(one) for one in view.committed.members) else "is back"
    return Refusal(
        "TooFewMembers",
        f"{len(alive)} of {len(view.committed.members)} members answer, and a write needs {needed}: writes "
        f"are refused and reads may be stale until {missing} {verb}",
    )


def _nothing_taken(view: view_.ShardView) -> Refusal | None:
    """Return why too few members take what the primary sends, though enough answer."""
    assert view.committed is not None
    primary = view.state(view.committed.primary)
    if primary is None or guards.primary_leads(view) is not None or primary.acknowledges:
        return None
    if primary.quorum_silence_seconds < repair.CUT_OFF_SECONDS:
        return None
    followers = [one.name for one in view.committed.members if one.name != primary.name]
    full = [f"{name}: {state.no_room}" for name in followers if (state := view.state(name)) and state.no_room]
    copying = [one.name for one in primary.followers if one.copying and one.name in followers]
    why = [*full, *(f"{name} copies segments" for name in copying)] or ["they may be cut off from it"]
    return Refusal(
        "TooFewTakeWrites",
        f"a write needs {view.committed.write_quorum} of {len(view.committed.members)} members, and too few "
        f"take what the primary {primary.name} sends ({'; '.join(why)}): writes are refused, reads may be "
        "stale",
    )
