"""The planner: which actions a pass takes, in which order.

What is wanted and differs is applied, in the order in which it was built; what is ours and not wanted is
deleted, last. At most one action a pass restarts pods that serve. Volumes, StatefulSets, Secrets and
VectorShards are never pruned: what holds data, keys or epochs goes only with its index.
"""

from collections.abc import Iterator

from .. import ports
from ..api import vector_index
from ..desired import inputs
from . import actions, diff, guards, observed

PRUNED = (
    ports.DEPLOYMENT,
    ports.POD_DISRUPTION_BUDGET,
    ports.SERVICE,
    ports.CONFIG_MAP,
    ports.SERVICE_ACCOUNT,
)


def refuse(index: vector_index.VectorIndex) -> actions.Plan | None:
    """Return a plan that does nothing, where the spec alone forbids more; else None."""
    refusals = tuple(refusal for guard in guards.INDEX_GUARDS if (refusal := guard(index)) is not None)
    return actions.Plan(refusals=refusals) if refusals else None


def plan(desired: inputs.Desired, seen: observed.Observed) -> actions.Plan:
    """Return what leads from `seen` to `desired`, and what has to wait or can't be."""
    stalls = tuple(refusal for guard in guards.OBJECT_GUARDS if (refusal := guard(desired, seen)) is not None)
    if stalls:
        return actions.Plan(refusals=stalls)
    steps: tuple[actions.Action, ...] = (*_applies(desired, seen), *_prunes(desired, seen))
    return _admit(steps, seen)


def _applies(desired: inputs.Desired, seen: observed.Observed) -> Iterator[actions.Apply]:
    for manifest in desired.manifests:
        found = seen.objects.get(observed.ref(manifest))
        if why := diff.difference(manifest, found):
            yield actions.Apply(manifest, why, _restarts_shard(manifest, found))


def _restarts_shard(wanted: ports.Manifest, found: ports.Manifest | None) -> bool:
    if wanted["kind"] != ports.STATEFUL_SET.kind or found is None:
        return False
    # A shard that does not serve has nothing to lose: were it held up too, a broken image could not be cured.
    return observed.serves(found) and not diff.same_pods(wanted, found)


def _prunes(desired: inputs.Desired, seen: observed.Observed) -> Iterator[actions.Delete]:
    wanted = {observed.ref(manifest) for manifest in desired.manifests}
    for kind in PRUNED:
        for found in seen.of_kind(kind):
            gone = found["metadata"].get("deletionTimestamp")
            if observed.ref(found) not in wanted and seen.owns(found) and not gone:
                yield actions.Delete(found, "the spec does not ask for it any more")


def _admit(steps: tuple[actions.Action, ...], seen: observed.Observed) -> actions.Plan:
    """Pass each step by its guards; of the steps that restart a shard, let one through."""
    turn = _next_restart(steps)
    verdicts = [(step, _refusal(step, seen, turn)) for step in steps]
    return actions.Plan(
        actions=tuple(step for step, refusal in verdicts if refusal is None),
        refusals=tuple(refusal for _, refusal in verdicts if refusal is not None),
    )


def _next_restart(steps: tuple[actions.Action, ...]) -> actions.Apply | None:
    """Return the restart whose turn it is: what the spec asks for goes before what somebody else changed."""
    restarts = [step for step in steps if isinstance(step, actions.Apply) and step.disruptive]
    return min(restarts, key=lambda step: step.why != diff.SPEC_CHANGED, default=None)


def _refusal(
    step: actions.Action, seen: observed.Observed, turn: actions.Apply | None
) -> actions.Refusal | None:
    if isinstance(step, actions.Delete):
        return None
    if (refusal := guards.not_terminating(step.manifest, seen)) is not None or not step.disruptive:
        return refusal
    if turn is not None and step is not turn:
        return guards.waits_for(step.manifest, turn.manifest["metadata"]["name"])
    return guards.one_shard_at_a_time(step.manifest, seen)
