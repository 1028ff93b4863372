"""Publication: statuses are written once, last, and only where they changed; events on transitions only."""

from . import ports, status
from .api import condition, vector_index, vector_shard
from .desired import names


async def publish(
    given: ports.Ports, manifest: ports.Manifest, fresh: vector_index.VectorIndexStatus
) -> None:
    """Write the status of an index where it changed, and tell what turned.

    Raises:
        errors.Transient: it could not be written; the next pass tries again.
    """
    written = _to_json(fresh)
    if written == manifest.get("status"):
        return
    await given.cluster.apply_status(_with_status(manifest, written))
    before = manifest.get("status") or {}
    for event in transitions(manifest, before.get("conditions") or (), fresh):
        await given.cluster.emit(event)


async def publish_shards(given: ports.Ports, done: status.Pass) -> None:
    """Write the statuses of the shards where they changed, each as a compare-and-swap.

    Raises:
        errors.Transient: one could not be written, or somebody else was faster; the next pass tries again.
    """
    for number in range(done.index.spec.shards):
        found = done.seen.find(ports.VECTOR_SHARD, names.shard(done.index.metadata.name, number))
        if found is None:
            continue
        written = _to_json(status.shard_status(done, number, given.clock.now()))
        if written != found.get("status"):
            await given.cluster.apply_status(_with_status(found, written, locked=True))


def transitions(
    manifest: ports.Manifest, before: object, fresh: vector_index.VectorIndexStatus
) -> tuple[ports.Event, ...]:
    """Return an event for each condition of `fresh` that turned, and whose turn is worth telling."""
    stalled = condition.find(fresh.conditions, condition.STALLED)
    own = condition.STALLED if stalled is not None and stalled.holds else condition.READY
    old = vector_index.VectorIndexStatus.model_validate({"conditions": before}).conditions
    return tuple(
        ports.Event(manifest, now.reason, _told(now), warning=now.holds is (now.type != condition.READY))
        for now in fresh.conditions
        if (now.type == own or now.type not in condition.OWN) and _is_news(condition.find(old, now.type), now)
    )


def _told(now: condition.Condition) -> str:
    return now.message if now.type in condition.OWN else f"{now.type}: {now.message}"


def _is_news(was: condition.Condition | None, now: condition.Condition) -> bool:
    if now.type == condition.STALLED:
        return was is None or not was.holds or was.reason != now.reason
    # A first Ready=False only says that the index is new.
    return now.holds if was is None else was.status != now.status


def _with_status(
    manifest: ports.Manifest, written: dict[str, object], *, locked: bool = False
) -> ports.Manifest:
    kept = ("name", "namespace", "resourceVersion") if locked else ("name", "namespace")
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {field: manifest["metadata"][field] for field in kept},
        "status": written,
    }


def _to_json(
    value: vector_index.VectorIndexStatus | vector_shard.VectorShardStatus,
) -> dict[str, object]:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)
