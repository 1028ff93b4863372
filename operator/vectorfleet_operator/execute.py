"""Execution: the one loop with side effects. It stops at the first error and says what was done.

A volume that can't grow stops nothing.
"""

import dataclasses

from . import errors, ports
from .plan import actions, volumes


@dataclasses.dataclass(frozen=True)
class Executed:
    """What became of a plan."""

    applied: tuple[ports.Manifest, ...] = ()
    """Objects as stored after their apply."""
    done: tuple[actions.Action, ...] = ()
    error: errors.OperatorError | None = None
    """Why the rest was left, None where nothing was."""
    small: tuple[actions.Refusal, ...] = ()
    """Volumes that can't grow, as the cluster says."""


async def execute(cluster: ports.Cluster, plan: actions.Plan) -> Executed:
    """Take the plan's actions in order, until one fails."""
    result = Executed()
    for action in plan.actions:
        try:
            with errors.during("execute"):
                stored = await _take(cluster, action)
        except (errors.Transient, errors.Rejected) as error:
            if not _may_fail(action, error):
                return dataclasses.replace(result, error=error)
            result = dataclasses.replace(result, small=(*result.small, _too_small(action, error)))
            continue
        applied, done = (*result.applied, *stored), (*result.done, action)
        result = dataclasses.replace(result, applied=applied, done=done)
    return result


def _may_fail(action: actions.Action, error: errors.OperatorError) -> bool:
    return isinstance(action, actions.Grow) and isinstance(error, errors.Forbidden | errors.Rejected)


def _too_small(action: actions.Action, error: errors.OperatorError) -> actions.Refusal:
    claim = action.manifest
    size = claim["spec"]["resources"]["requests"]["storage"]
    what, advice = "grow to", "let its StorageClass allow volume expansion, or move the rows to another index"
    if action.why == volumes.WHY_LESS:
        what, advice = "ask for", "set spec.storage.size to what it asks for, or to status.volumeSize again"
    message = f"{claim['metadata']['name']} can't {what} {size}: {error}; {advice}"
    return actions.Refusal("NotExpandable", message)


async def _take(cluster: ports.Cluster, action: actions.Action) -> tuple[ports.Manifest, ...]:
    match action:
        case actions.Apply() | actions.Grow():
            return (await cluster.apply(action.manifest),)
        case actions.Delete():
            await cluster.delete(action.manifest, orphan=action.orphan)
            return ()
