"""From what was observed of an index to what is known of each shard, apart from its replicas' words. PURE."""

from collections.abc import Mapping
from typing import Any

from . import ports, register, replication
from .api import serving_spec, vector_index
from .desired import names, stateful_set
from .plan import observed
from .plan.replicas import view as view_

REVISION = "controller-revision-hash"
"""The label by which a StatefulSet's controller says which template a pod is of."""
ACCEPT_LOSS = f"{names.GROUP}/accept-loss"
PRIMARY = f"{names.GROUP}/primary"


def build_views(
    index: vector_index.VectorIndex, seen: observed.Observed, entries: Mapping[int, register.Entry]
) -> tuple[view_.ShardView, ...]:
    """Return what is known of the shards whose VectorShard is there."""
    return tuple(_view(index, seen, number, entry) for number, entry in sorted(entries.items()))


def find_entries(index: vector_index.VectorIndex, seen: observed.Observed) -> dict[int, register.Entry]:
    """Return the VectorShards of an index by number; those of a namesake that is gone are no one's."""
    found = {
        number: seen.find(ports.VECTOR_SHARD, names.shard(index.metadata.name, number))
        for number in range(index.spec.shards)
    }
    return {
        number: register.Entry(manifest)
        for number, manifest in found.items()
        if manifest is not None and seen.owns(manifest) and not manifest["metadata"].get("deletionTimestamp")
    }


def copies(index: vector_index.VectorIndex, entries: Mapping[int, register.Entry]) -> dict[int, int]:
    """Return how many pods each shard needs: as many as the spec asks for, and one for each member still."""
    needed = {}
    for number, entry in entries.items():
        configuration = entry.status.configuration
        ordinals = [_ordinal(one.name) for one in configuration.members] if configuration else []
        needed[number] = max([index.spec.replicas, *(ordinal + 1 for ordinal in ordinals)])
    return needed


def committed(key: ports.Key, entry: register.Entry) -> replication.Configuration | None:
    """Return the configuration that is in force, with its members' addresses."""
    found = entry.status.configuration
    if found is None:
        return None
    members = tuple(
        replication.Member(one.name, one.disk, names.pod_address(key, one.name)) for one in found.members
    )
    return replication.Configuration(found.epoch, found.primary, members, found.write_quorum)


def _view(
    index: vector_index.VectorIndex, seen: observed.Observed, number: int, entry: register.Entry
) -> view_.ShardView:
    key = names.key(index)
    configuration = committed(key, entry)
    ordinals = {*range(index.spec.replicas)}
    if configuration is not None:
        ordinals |= {_ordinal(name) for name in configuration.names}
    replicas = [names.replica(key.name, number, ordinal) for ordinal in sorted(ordinals)]
    return view_.ShardView(
        number=number,
        wanted=_wanted(index, number, entry),
        committed=configuration,
        reserved=entry.status.reserved,
        heard={},
        pods=_pods(seen, names.shard(key.name, number), replicas),
        lost_claims=frozenset(name for name in replicas if _is_leaving(_claim(seen, name))),
    )


def _wanted(index: vector_index.VectorIndex, number: int, entry: register.Entry) -> view_.Wanted:
    key, notes = names.key(index), entry.manifest["metadata"].get("annotations") or {}
    replicas = (names.replica(key.name, number, ordinal) for ordinal in range(index.spec.replicas))
    return view_.Wanted(
        replicas=tuple(replication.Member(name, "", names.pod_address(key, name)) for name in replicas),
        every=index.spec.consistency.write is serving_spec.WriteConsistency.ALL,
        paused=index.spec.paused,
        primary=str(notes.get(PRIMARY, "")),
        accepted_loss=str(notes.get(ACCEPT_LOSS, "")),
    )


def _pods(seen: observed.Observed, workload: str, replicas: list[str]) -> dict[str, view_.PodState]:
    revision = _revision(seen.find(ports.STATEFUL_SET, workload))
    found = {name: seen.find(ports.POD, name) for name in replicas}
    return {name: _pod(pod, revision) for name, pod in found.items() if pod is not None}


def _pod(pod: ports.Manifest, revision: str) -> view_.PodState:
    status, metadata = pod.get("status") or {}, pod["metadata"]
    ready = any(
        one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or ()
    )
    mine = (metadata.get("labels") or {}).get(REVISION, "")
    return view_.PodState(
        uid=str(metadata.get("uid", "")),
        ready=ready,
        terminating=_is_leaving(pod),
        failed=status.get("phase") in {"Failed", "Succeeded"},
        stale=bool(revision and mine and mine != revision),
    )


def _revision(workload: ports.Manifest | None) -> str:
    """Return the revision of a StatefulSet's template, empty until its controller has seen the newest one."""
    if workload is None:
        return ""
    status: Mapping[str, Any] = workload.get("status") or {}
    current = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    return str(status.get("updateRevision", "")) if current else ""


def _claim(seen: observed.Observed, replica: str) -> ports.Manifest | None:
    return seen.find(ports.PERSISTENT_VOLUME_CLAIM, f"{stateful_set.DATA}-{replica}")


def _is_leaving(manifest: ports.Manifest | None) -> bool:
    return manifest is not None and bool(manifest["metadata"].get("deletionTimestamp"))


def _ordinal(replica: str) -> int:
    return int(replica.rpartition("-")[2])
