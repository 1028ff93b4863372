"""One pass of the operator over one VectorIndex: a table of contents.

    observe → tend → desired → plan → execute → status

Level-based: nothing is remembered between passes, so a pass may be cut off anywhere and the next one goes on
from what it finds. The operator never writes `spec`.
"""

import dataclasses

from . import credentials, errors, execute, lookout, observe, ports, publish, status, tend, viewing
from .api import condition, parse, vector_index
from .desired import build, inputs
from .plan import actions, observed, planner

SOON_SECONDS = 5.0
SETTLED_SECONDS = 15.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a pass came to."""

    requeue_after: float | None
    """Seconds after which to look again if nothing happens before; None where there is nothing to look at."""
    status: vector_index.VectorIndexStatus | None = None
    error: errors.OperatorError | None = None
    """Why the pass ended before its time, None where it did not."""


@dataclasses.dataclass(frozen=True)
class Operator:
    """What all passes share."""

    ports: ports.Ports
    watch: lookout.Lookout
    image: str
    """The data plane's image, unless an index overrides it."""


async def reconcile(operator: Operator, key: ports.Key) -> Outcome:
    """Take one VectorIndex a step nearer to its spec.

    Raises:
        errors.Transient: the cluster could not be read or told; the pass has to be repeated.
    """
    given = operator.ports
    manifest = await given.cluster.get(ports.VECTOR_INDEX, key.namespace, key.name)
    if manifest is None or manifest["metadata"].get("deletionTimestamp"):
        return Outcome(None)  # what the index owns goes by its owner references
    try:
        with errors.during("parse"):
            index = parse.parse_index(manifest)
    except errors.InvalidSpec as reason:
        return await _refuse(given, manifest, reason)
    with errors.during("observe"):
        seen = await observe.observe(given.cluster, index)
    with errors.during("tend"):
        tended = await tend.tend(given, operator.watch, index, manifest, seen)
    with errors.during("observe"):
        seen, plan = await _decide(operator, index, tended.seen)
    executed = await execute.execute(given.cluster, plan)
    seen = seen.updated(executed.applied)
    done = status.Pass(index, seen, plan, executed, tended.standings)
    fresh = status.fold(done, given.clock.now())
    with errors.during("publish"):
        await publish.publish_shards(given, operator.watch, done)
        await publish.publish(given, manifest, fresh)
    return _outcome(fresh, executed)


async def _decide(
    operator: Operator, index: vector_index.VectorIndex, seen: observed.Observed
) -> tuple[observed.Observed, actions.Plan]:
    refused = planner.refuse(index)
    if refused is not None:
        return seen, refused
    secrets = credentials.settle(index, seen, operator.ports)
    copies = viewing.copies(index, viewing.find_entries(index, seen))
    network = operator.ports.network
    desired = build.build(inputs.Inputs(index, secrets, operator.image, copies, network))
    seen = await observe.observe_namesakes(operator.ports.cluster, desired, seen)
    return seen, planner.plan(desired, seen)


async def _refuse(given: ports.Ports, manifest: ports.Manifest, reason: errors.InvalidSpec) -> Outcome:
    fresh = status.invalid(manifest, parse.parse_status(manifest), reason, given.clock.now())
    await publish.publish(given, manifest, fresh)
    return Outcome(SETTLED_SECONDS, fresh, reason)


def _outcome(fresh: vector_index.VectorIndexStatus, executed: execute.Executed) -> Outcome:
    going_on = condition.find(fresh.conditions, condition.RECONCILING)
    soon = going_on is not None and going_on.holds
    return Outcome(SOON_SECONDS if soon else SETTLED_SECONDS, fresh, executed.error)
