"""The next step of one shard, and why others are not taken: what keeps it serving goes first."""

from collections.abc import Callable, Iterable

from ..actions import Refusal
from . import beginning, damage, guards, loss, repair, restarting, returned, room, steps, stuck, tidying
from . import view as view_

Verdict = steps.Step | Refusal | None
Rule = Callable[[view_.ShardView], Verdict]

REPAIRS: tuple[Rule, ...] = (loss.loss, repair.promotion, repair.leaving)
"""What keeps a shard serving. What one of them wants, done or refused, everything else awaits."""
TIDYING: tuple[Rule, ...] = (
    stuck.restart,
    tidying.drop_lost,
    room.hand_over,
    tidying.overtake,
    tidying.replace,
    damage.rebuild,
    returned.rebuild,
    tidying.remove,
    tidying.join,
    tidying.reconfigure,
    tidying.rebuild,
    restarting.hand_over,
    restarting.restart,
)
"""What has time."""


def decide(view: view_.ShardView) -> steps.Decision:
    """Return what is to be done for a shard now."""
    if not view.speaks:
        return _first(view, (Refusal("Starting", "no replica answers"), restarting.restart(view)))
    if view.committed is None:
        return _first(view, (beginning.begin(view), stuck.restart(view), restarting.restart(view)))
    tell, verdicts = repair.tell(view), [rule(view) for rule in REPAIRS]
    if any(verdicts):
        return _first(view, (*verdicts, stuck.restart(view), restarting.restart_silent(view)), tell)
    return _first(view, (rule(view) for rule in TIDYING), tell)


def _first(
    view: view_.ShardView, verdicts: Iterable[Verdict], tell: steps.Tell | None = None
) -> steps.Decision:
    """Return the first step that may be taken, and all refusals before it."""
    refusals: list[Refusal] = []
    for verdict in verdicts:
        held_up = _held_up(view, verdict) if isinstance(verdict, steps.Step) else verdict
        if held_up is not None:
            refusals.append(held_up)
        elif verdict is not None:
            assert not isinstance(verdict, Refusal)
            return steps.Decision(tell, verdict, tuple(refusals))
    return steps.Decision(tell, None, tuple(refusals))


def _held_up(view: view_.ShardView, step: steps.Step) -> Refusal | None:
    """Return why a step waits that nothing speaks against otherwise."""
    if view.wanted.paused and not _keeps_serving(step):
        return Refusal("Paused", "spec.paused is true: only what keeps the index serving is done")
    return guards.no_storm(view) if isinstance(step, steps.Change) else None


def _keeps_serving(step: steps.Step) -> bool:
    return isinstance(step, steps.Change) and step.kind in {
        steps.Kind.PROMOTE,
        steps.Kind.HAND_OVER,
        steps.Kind.ACCEPT_LOSS,
    }
