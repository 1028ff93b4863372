"""Execution: the one loop with side effects. It stops at the first error and says what was done."""

import dataclasses

from . import errors, ports
from .plan import actions


@dataclasses.dataclass(frozen=True)
class Executed:
    """What became of a plan."""

    applied: tuple[ports.Manifest, ...] = ()
    """Objects as stored after their apply."""
    done: tuple[actions.Action, ...] = ()
    error: errors.OperatorError | None = None
    """Why the rest was left, None where nothing was."""


async def execute(cluster: ports.Cluster, plan: actions.Plan) -> Executed:
    """Take the plan's actions in order, until one fails."""
    result = Executed()
    for action in plan.actions:
        try:
            with errors.during("execute"):
                stored = await _take(cluster, action)
        except (errors.Transient, errors.Rejected) as error:
            return dataclasses.replace(result, error=error)
        result = Executed((*result.applied, *stored), (*result.done, action))
    return result


async def _take(cluster: ports.Cluster, action: actions.Action) -> tuple[ports.Manifest, ...]:
    match action:
        case actions.Apply():
            return (await cluster.apply(action.manifest),)
        case actions.Delete():
            await cluster.delete(action.manifest)
            return ()
