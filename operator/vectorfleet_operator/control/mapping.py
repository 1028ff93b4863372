"""Between Pinecone's words and a VectorIndex: a request becomes a manifest, a manifest a description. PURE.

What a VectorIndex has no field for (tags, deletion protection, what was asked for) is kept in annotations.
"""

import copy
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from .. import errors, ports
from ..api import condition, parse, support, vector_index
from ..desired import names
from . import answers, refusals, wire

NAME = re.compile(r"[a-z]([-a-z0-9]{0,43}[a-z0-9])?")
"""What may be an index's name; the CRD allows less yet."""
PROTECTED: Literal["enabled"] = "enabled"
_UNNAMED = "unnamed"
_Tags = dict[str, str]


def build_index(asked: wire.Create, namespace: str, template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the VectorIndex that a request asks for.

    Args:
        asked: the request.
        namespace: that it is made in.
        template: a spec that it starts from; what the request says wins.

    Raises:
        refusals.Refused: there can't be such an index.
    """
    # As Pinecone's indexes do, its rows go with it, unless the template says otherwise.
    usual = {"model": {"name": _UNNAMED}, "storage": {"deletionPolicy": "Delete"}}
    said: dict[str, Any] = {"model": {"dimensions": asked.dimension}, "metric": asked.metric}
    if asked.spec.pod is not None:
        said |= {"shards": asked.spec.pod.shards, "replicas": asked.spec.pod.replicas}
    kept = asked.spec.model_dump(exclude_none=True)
    manifest = {
        "apiVersion": ports.VECTOR_INDEX.api_version,
        "kind": ports.VECTOR_INDEX.kind,
        "metadata": {
            "name": asked.name,
            "namespace": namespace,
            "annotations": _notes(asked.deletion_protection, asked.tags)
            | {names.REQUESTED_SPEC: json.dumps(kept)},
        },
        "spec": merge(merge(usual, template), said),
    }
    _check(manifest)
    return manifest


def change_index(manifest: ports.Manifest, asked: wire.Configure) -> dict[str, Any]:
    """Return a VectorIndex with what a request changes of it.

    Raises:
        refusals.Refused: it can't be changed so.
    """
    changed = copy.deepcopy(dict(manifest))
    tags = {key: value for key, value in (_tags(manifest) | asked.tags).items() if value}
    if len(tags) > wire.MAX_TAGS:
        raise refusals.invalid(f"tags: an index has at most {wire.MAX_TAGS}; these would be {len(tags)}")
    notes = dict(changed["metadata"].get("annotations") or {})
    notes |= _notes(asked.deletion_protection or _protection(manifest), tags)
    changed["metadata"]["annotations"] = notes
    if asked.spec.pod.replicas is not None:
        changed["spec"]["replicas"] = asked.spec.pod.replicas
    _check(changed)
    return changed


def check_deletable(manifest: ports.Manifest) -> None:
    """Refuse to delete an index that is protected.

    Raises:
        refusals.Refused: it is.
    """
    if _protection(manifest) == PROTECTED:
        raise refusals.forbidden(
            f"deletion protection is enabled for the index {manifest['metadata']['name']!r}: "
            "disable it by configure_index first"
        )


def describe(manifest: ports.Manifest, host: str) -> answers.Index:
    """Return an index as Pinecone describes it.

    Args:
        manifest: the VectorIndex.
        host: its URL; empty where it has none yet.
    """
    spec = manifest["spec"]
    return answers.Index(
        name=manifest["metadata"]["name"],
        dimension=spec["model"]["dimensions"],
        metric=spec.get("metric", "cosine"),
        host=host,
        spec=_described_spec(manifest),
        status=answers.Status(ready=_is_served(manifest), state=_state(manifest)),
        vector_type="dense",
        deletion_protection=_protection(manifest),
        tags=_tags(manifest) or None,
    )


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return two specs as one; `over` wins, and objects are merged field by field."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def _check(manifest: ports.Manifest) -> None:
    try:
        index = parse.parse_index(manifest)
    except errors.InvalidSpec as wrong:
        raise refusals.invalid(str(wrong)) from None
    if paths := support.unsupported(index.spec):
        raise refusals.invalid(support.refusal(paths))


def _notes(protection: str, tags: _Tags) -> dict[str, str]:
    kept = {key: value for key, value in sorted(tags.items()) if value}
    return {names.DELETION_PROTECTION: protection, names.TAGS: json.dumps(kept)}


def _note(manifest: ports.Manifest, name: str) -> Any:
    """Return what an annotation of ours holds, None where it is missing or was spoilt by hand."""
    try:
        return json.loads((manifest["metadata"].get("annotations") or {}).get(name, "null"))
    except ValueError:
        return None


def _tags(manifest: ports.Manifest) -> _Tags:
    kept = _note(manifest, names.TAGS)
    return {str(key): str(value) for key, value in kept.items()} if isinstance(kept, dict) else {}


def _protection(manifest: ports.Manifest) -> wire.Protection:
    given = (manifest["metadata"].get("annotations") or {}).get(names.DELETION_PROTECTION)
    return PROTECTED if given == PROTECTED else "disabled"


def _described_spec(manifest: ports.Manifest) -> dict[str, Any]:
    spec, kept = manifest["spec"], _note(manifest, names.REQUESTED_SPEC)
    asked = kept if isinstance(kept, dict) else {}
    if isinstance(asked.get("serverless"), dict):
        return {"serverless": asked["serverless"]}
    replicas, shards = spec.get("replicas", 1), spec.get("shards", 1)
    pod = asked["pod"] if isinstance(asked.get("pod"), dict) else {}
    sizes = {"replicas": replicas, "shards": shards, "pods": replicas * shards}
    # An index that was made by a manifest has neither, and clients insist on both.
    return {"pod": {"environment": "kubernetes", "pod_type": "vectorfleet"} | pod | sizes}


def _is_served(manifest: ports.Manifest) -> bool:
    """Return whether the index answers; one whose newest change is under way does."""
    return "deletionTimestamp" not in manifest["metadata"] and _holds(manifest, condition.READY)


def _state(manifest: ports.Manifest) -> answers.State:
    if "deletionTimestamp" in manifest["metadata"]:
        return "Terminating"
    status = parse.parse_status(manifest)
    if _holds(manifest, condition.READY):
        return _scaling(manifest, status)
    failed = _holds(manifest, condition.STALLED) and not status.ready_shards
    return "InitializationFailed" if failed else "Initializing"


def _scaling(manifest: ports.Manifest, status: vector_index.VectorIndexStatus) -> answers.State:
    wanted, there = manifest["spec"].get("replicas", 1), status.ready_replicas
    if wanted == there or not there:
        return "Ready"
    return "ScalingUp" if wanted > there else "ScalingDown"


def _holds(manifest: ports.Manifest, kind: str) -> bool:
    found = condition.find(parse.parse_status(manifest).conditions, kind)
    return found is not None and found.holds
