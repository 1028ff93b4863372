"""Publication: statuses are written once, last, and only where they changed; events on transitions only."""

from . import lookout, ports, register, shard_status, status, viewing
from .api import condition, vector_index
from .desired import names

_POSITIONS_SECONDS = 10.0


async def publish(
    given: ports.Ports, manifest: ports.Manifest, fresh: vector_index.VectorIndexStatus
) -> None:
    """Write the status of an index where it changed, and tell what turned.

    Raises:
        errors.Transient: it could not be written; the next pass tries again.
    """
    written = to_json(fresh)
    if written == manifest.get("status"):
        return
    await given.cluster.apply_status(_with_status(manifest, written))
    before = manifest.get("status") or {}
    for event in transitions(manifest, before.get("conditions") or (), fresh):
        await given.cluster.emit(event)


async def publish_shards(given: ports.Ports, watch: lookout.Lookout, done: status.Pass) -> None:
    """Write the statuses of the shards where they changed; positions alone, which always do, now and then.

    Raises:
        errors.Transient: one could not be written, or somebody else was faster; the next pass tries again.
    """
    key = names.key(done.index)
    for number, entry in viewing.find_entries(done.index, done.seen).items():
        before, fresh = entry.status, status.of_shard(done, number, entry, given.clock.now())
        if fresh == before:
            continue
        is_news = shard_status.without_positions(fresh) != shard_status.without_positions(before)
        if is_news or watch.may_tell(key, entry.name, _POSITIONS_SECONDS):
            await register.write(given.cluster, entry, fresh)


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


def _with_status(manifest: ports.Manifest, written: dict[str, object]) -> ports.Manifest:
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {field: manifest["metadata"][field] for field in ("name", "namespace")},
        "status": written,
    }


def to_json(value: vector_index.VectorIndexStatus) -> dict[str, object]:
    """Return a status as an object carries it."""
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)
