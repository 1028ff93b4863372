"""The guards: named predicates that say why something is not done, or None where it may be.

Guards of the index look at the whole and stop everything; guards of an action stop that one alone.
"""

from typing import Any

from vectorfleet_shardnode.api import config

from .. import ports
from ..api import support, vector_index
from ..desired import config_map, inputs
from . import actions, observed, volumes


def only_supported_fields(index: vector_index.VectorIndex) -> actions.Refusal | None:
    """Refuse a spec that asks for behaviour that does not exist yet."""
    paths = support.unsupported(index.spec)
    return actions.Refusal("NotSupportedYet", support.refusal(paths), stalls=True) if paths else None


def not_paused(index: vector_index.VectorIndex) -> actions.Refusal | None:
    """Refuse to change anything while a person has paused the index."""
    return actions.Refusal("Paused", "spec.paused is true: nothing is changed") if index.spec.paused else None


def names_are_free(desired: inputs.Desired, seen: observed.Observed) -> actions.Refusal | None:
    """Refuse to take over an object that has a name we need and belongs to somebody else."""
    taken = [
        f"{manifest['kind']} {manifest['metadata']['name']}"
        for manifest in desired.manifests
        if (found := _foreign(manifest, seen)) is not None and not _is_predecessors(found, manifest)
    ]
    if not taken:
        return None
    message = (
        f"{', '.join(taken)} exists and does not belong to this VectorIndex: delete it or rename the index"
    )
    return actions.Refusal("NameTaken", message, stalls=True)


def predecessor_is_gone(desired: inputs.Desired, seen: observed.Observed) -> actions.Refusal | None:
    """Wait until what an index of the same name left behind is collected."""
    left = [
        " ".join(observed.ref(manifest))
        for manifest in desired.manifests
        if (found := _foreign(manifest, seen)) is not None and _is_predecessors(found, manifest)
    ]
    if not left:
        return None
    message = f"waiting until {', '.join(left)} of a deleted index of the same name is gone"
    return actions.Refusal("Terminating", message)


def generation_unchanged(desired: inputs.Desired, seen: observed.Observed) -> actions.Refusal | None:
    """Refuse to turn a generation into another one in place: the stored rows would not fit it."""
    now, before = (_generation(_config_map(where)) for where in (desired.manifests, seen.objects.values()))
    changed = [field for field in now if before and now[field] != before.get(field)]
    if not changed:
        return None
    message = ", ".join(
        f"{field} from {_show(before.get(field))} to {_show(now[field])}" for field in changed
    )
    return actions.Refusal(
        "GenerationImmutable", f"not supported yet: changing {message} in place", stalls=True
    )


def not_terminating(wanted: ports.Manifest, seen: observed.Observed) -> actions.Refusal | None:
    """Wait until an object that is being deleted is gone; only then can it be made anew."""
    found = seen.objects.get(observed.ref(wanted))
    if found is None or not found["metadata"].get("deletionTimestamp"):
        return None
    name = " ".join(observed.ref(wanted))
    return actions.Refusal("Terminating", f"{name} is being deleted; it is made anew once it is gone")


INDEX_GUARDS = (only_supported_fields, not_paused)
OBJECT_GUARDS = (names_are_free, predecessor_is_gone, generation_unchanged, volumes.unchanged)


def _foreign(wanted: ports.Manifest, seen: observed.Observed) -> ports.Manifest | None:
    """Return the object that has the name of `wanted` and is not ours, or None."""
    found = seen.objects.get(observed.ref(wanted))
    return None if found is None or seen.owns(found) else found


def _is_predecessors(found: ports.Manifest, wanted: ports.Manifest) -> bool:
    """Return whether `found` belongs to an earlier VectorIndex of the name that `wanted` belongs to."""
    [ours] = wanted["metadata"]["ownerReferences"]
    owners = found["metadata"].get("ownerReferences") or ()
    return any((owner.get("kind"), owner.get("name")) == (ours["kind"], ours["name"]) for owner in owners)


def _config_map(manifests: Any) -> ports.Manifest | None:
    return next((one for one in manifests if one["kind"] == ports.CONFIG_MAP.kind), None)


def _generation(manifest: ports.Manifest | None) -> dict[str, Any]:
    """Return what fixes a generation, flat, and empty where it can't be read."""
    try:
        text = (manifest or {})["data"][config_map.ENTRY]
        serving = config.IndexConfig.model_validate_json(text).serving
    except (KeyError, TypeError, ValueError):
        return {}
    return {
        "dimensions": serving.dimensions,
        "metric": serving.metric,
        "index type": serving.engine,
        "m": serving.hnsw.m,
        "efConstruction": serving.hnsw.ef_construction,
        "lists": serving.ivf.lists,
        "quantization": serving.quantization.kind,
        "ratio": serving.quantization.ratio,
        "vectors": ", ".join(_stored(field) for field in serving.vectors),
        "shards": len(serving.shards),
    }


def _stored(field: config.VectorField) -> str:
    """Return what fixes a vector field, without what only concerns searching."""
    code = field.quantization
    stored = field.uncoded
    if code.kind is not config.QuantizationKind.NONE:
        kept = config.Quantization(kind=code.kind, ratio=code.ratio)
        stored = field.model_copy(update={"quantization": kept})
    return stored.model_dump_json(by_alias=True)


def _show(value: object) -> str:
    return "nothing" if value in (None, "") else str(value)
