"""Observation: fresh lists by label, and namesakes by name.

Nothing is decided here. Every pass reads anew, so that no decision stands on a stale cache.
"""

import asyncio
import base64
import binascii

from vectorfleet_runtime import parties

from . import ports
from .api import vector_index
from .desired import inputs, names
from .plan import observed

LISTED = (ports.VECTOR_SHARD, *ports.OWNED)


async def observe(cluster: ports.Cluster, index: vector_index.VectorIndex) -> observed.Observed:
    """Return every object that carries the index's label, and the Secrets that it names.

    Raises:
        errors.Transient: a call failed; nothing can be decided.
    """
    key = names.key(index)
    labels = names.index_labels(key.name)
    lists = await asyncio.gather(*(cluster.list(kind, key.namespace, labels) for kind in LISTED))
    objects = {observed.ref(one): one for found in lists for one in found}
    roles = (names.certificate_secret(key.name, role) for role in parties.Role)
    for name in (names.authority_secret(key.name), *roles, names.api_key_secret(index)):
        await _add(cluster, key.namespace, (ports.SECRET.kind, name), objects)
    return observed.Observed(index.metadata.uid, objects)


async def observe_namesakes(
    cluster: ports.Cluster, desired: inputs.Desired, seen: observed.Observed
) -> observed.Observed:
    """Return `seen` with the objects that have a name we need and do not carry our label.

    Raises:
        errors.Transient: a call failed; nothing can be decided.
    """
    objects = dict(seen.objects)
    for manifest in desired.manifests:
        await _add(cluster, manifest["metadata"]["namespace"], observed.ref(manifest), objects)
    return observed.Observed(seen.owner_uid, objects)


def entry(seen: observed.Observed, name: str, key: str) -> str:
    """Return an entry of a Secret as text, empty where it is missing or no text."""
    data = (seen.find(ports.SECRET, name) or {}).get("data") or {}
    try:
        return base64.b64decode(data.get(key, ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


async def _add(
    cluster: ports.Cluster, namespace: str, ref: observed.Ref, objects: dict[observed.Ref, ports.Manifest]
) -> None:
    if ref in objects:
        return
    found = await cluster.get(ports.KINDS[ref[0]], namespace, ref[1])
    if found is not None:
        objects[ref] = found
