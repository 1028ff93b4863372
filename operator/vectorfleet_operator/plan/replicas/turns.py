"""Whose turn it is: of all shards of an index, at most one has a pod restarted at a time."""

import dataclasses
from collections.abc import Iterable, Mapping

from ..actions import Refusal
from . import steps
from . import view as view_


def admit(
    views: Iterable[view_.ShardView], decisions: Mapping[int, steps.Decision]
) -> dict[int, steps.Decision]:
    """Return the decisions, those put off whose shard has to wait for another one."""
    shards = tuple(views)
    busy = {view.number: why for view in shards if (why := _busy(view))}
    turn: int | None = None
    admitted = {}
    for view in shards:
        decision = decisions[view.number]
        waits_for = _waits_for(view, decision, busy, turn)
        if waits_for:
            refusal = Refusal("OneAtATime", f"shard {view.number} waits: {waits_for}")
            decision = dataclasses.replace(decision, step=None, refusals=(*decision.refusals, refusal))
        elif _takes_turn(decision):
            turn = view.number
        admitted[view.number] = decision
    return admitted


def _waits_for(
    view: view_.ShardView, decision: steps.Decision, busy: Mapping[int, str], turn: int | None
) -> str:
    if not _takes_turn(decision):
        return ""
    if turn is not None:
        return f"it is the turn of shard {turn}"
    return next((why for number, why in busy.items() if number != view.number), "")


def _takes_turn(decision: steps.Decision) -> bool:
    step = decision.step
    if isinstance(step, steps.Restart):
        return not step.free
    return isinstance(step, steps.Change) and step.for_restart


def _busy(view: view_.ShardView) -> str:
    """Return what keeps a shard from being whole, empty where nothing does."""
    for name in view.wanted.names:
        pod = view.pods.get(name)
        if pod is None or pod.terminating or not pod.ready:
            return f"{name} is not ready"
        state = view.state(name)
        if view.committed is not None and state is not None and state.leaving:
            return f"{name} stops"
    return ""
