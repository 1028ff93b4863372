"""The register: VectorShard.status, where a shard's configuration and the epochs handed out are kept.

The one place that writes it. Every write is a compare-and-swap of the whole object, so that nothing that was
read before another write can come back.
"""

import dataclasses
import functools

from . import errors, ports, replication
from .api import vector_shard

_TRIES = 3


@dataclasses.dataclass(frozen=True)
class Entry:
    """A VectorShard as it was read or written last."""

    manifest: ports.Manifest

    @functools.cached_property
    def status(self) -> vector_shard.VectorShardStatus:
        """What it says."""
        return vector_shard.VectorShardStatus.model_validate(self.manifest.get("status") or {})

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])


async def write(cluster: ports.Cluster, entry: Entry, status: vector_shard.VectorShardStatus) -> Entry:
    """Write a status, where nobody has written since `entry` was read.

    Raises:
        errors.Transient: somebody has, or nothing is known of the outcome.
    """
    kept = ("name", "namespace", "resourceVersion")
    metadata = entry.manifest["metadata"]
    stored = await cluster.apply_status(
        {
            "apiVersion": entry.manifest["apiVersion"],
            "kind": entry.manifest["kind"],
            "metadata": {field: metadata[field] for field in kept},
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
    )
    return Entry(stored)


async def reserve(cluster: ports.Cluster, entry: Entry, epoch: int) -> Entry:
    """Hand out an epoch: no two attempts share one.

    Raises:
        errors.Transient: somebody else was faster, or nothing is known of the outcome.
    """
    return await write(cluster, entry, entry.status.model_copy(update={"reserved": epoch}))


async def commit(cluster: ports.Cluster, entry: Entry, configuration: replication.Configuration) -> Entry:
    """Put a configuration in force, unless the configuration or `reserved` has changed since `entry`.

    Writes of anything else in between are let be; an answer that got lost is looked up.

    Raises:
        errors.Transient: it has changed, or nothing is known of the outcome.
    """
    before, wanted = entry.status, vector_shard.Configuration.of(configuration)
    for _ in range(_TRIES):
        fresh = {"configuration": wanted, "member_count": len(wanted.members)}
        try:
            return await write(cluster, entry, entry.status.model_copy(update=fresh))
        except errors.Transient as error:
            entry = await _again(cluster, entry, error)
        now = entry.status
        if now.configuration == wanted:
            return entry
        if (now.configuration, now.reserved) != (before.configuration, before.reserved):
            raise errors.Transient(f"{entry.name}: another change was begun")
    raise errors.Transient(f"{entry.name}: its status changes too fast")


async def adopt(
    cluster: ports.Cluster, entry: Entry, configuration: replication.Configuration, reserved: int
) -> Entry:
    """Take back a configuration that was lost, where none is in force.

    Raises:
        errors.Transient: there is one by now, or nothing is known of the outcome.
    """
    wanted = vector_shard.Configuration.of(configuration)
    fresh = {
        "configuration": wanted,
        "member_count": len(wanted.members),
        "reserved": max(reserved, entry.status.reserved),
    }
    return await write(cluster, entry, entry.status.model_copy(update=fresh))


async def _again(cluster: ports.Cluster, entry: Entry, error: errors.Transient) -> Entry:
    metadata = entry.manifest["metadata"]
    found = await cluster.get(ports.VECTOR_SHARD, metadata["namespace"], metadata["name"])
    if found is None or found["metadata"]["uid"] != metadata["uid"]:
        raise error
    return Entry(found)
