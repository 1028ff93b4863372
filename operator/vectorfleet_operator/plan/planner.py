"""The planner: which actions a pass takes, in which order.

What is wanted and differs is applied, in the order in which it was built; what is ours and not wanted is
deleted; volumes grow last, since that may be refused. Nothing here restarts a shard's pod: `replicas` does,
one at a time. Volumes, StatefulSets, Secrets and VectorShards are never pruned: what holds data, keys or
epochs goes only with its index.
"""

from collections.abc import Iterator

from .. import ports
from ..api import vector_index
from ..desired import inputs
from . import actions, diff, guards, observed, volumes

PRUNED = (
    ports.DEPLOYMENT,
    ports.POD_DISRUPTION_BUDGET,
    ports.SERVICE,
    ports.CONFIG_MAP,
    ports.SERVICE_ACCOUNT,
    ports.NETWORK_POLICY,
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
    steps = (*_applies(desired, seen), *_prunes(desired, seen), *volumes.plan_growth(desired, seen))
    waiting = (volumes.growing(desired, seen), volumes.stuck(desired, seen))
    return _admit(steps, seen, tuple(one for one in waiting if one is not None))


def _applies(desired: inputs.Desired, seen: observed.Observed) -> Iterator[actions.Action]:
    for manifest in desired.manifests:
        found, wanted = seen.objects.get(observed.ref(manifest)), manifest
        if manifest["kind"] == ports.STATEFUL_SET.kind:
            if (making_way := volumes.replaces(manifest, seen)) is not None:
                yield making_way
                continue
            wanted = volumes.keep_templates(manifest, found)
        if why := diff.difference(wanted, found):
            yield actions.Apply(wanted, why)


def _prunes(desired: inputs.Desired, seen: observed.Observed) -> Iterator[actions.Delete]:
    wanted = {observed.ref(manifest) for manifest in desired.manifests}
    for kind in PRUNED:
        for found in seen.of_kind(kind):
            gone = found["metadata"].get("deletionTimestamp")
            if observed.ref(found) not in wanted and seen.owns(found) and not gone:
                yield actions.Delete(found, "the spec does not ask for it any more")


def _admit(
    steps: tuple[actions.Action, ...], seen: observed.Observed, waiting: tuple[actions.Refusal, ...]
) -> actions.Plan:
    """Pass each step by its guards."""
    verdicts = [(step, _refusal(step, seen)) for step in steps]
    return actions.Plan(
        actions=tuple(step for step, refusal in verdicts if refusal is None),
        refusals=(*(refusal for _, refusal in verdicts if refusal is not None), *waiting),
    )


def _refusal(step: actions.Action, seen: observed.Observed) -> actions.Refusal | None:
    return guards.not_terminating(step.manifest, seen) if isinstance(step, actions.Apply) else None
