"""What a state directory holds, read from its files: for those who ask, not for those who decide."""

import base64
import dataclasses
import pathlib
import re

from ... import ports
from ...api import condition, parse, vector_index
from ...desired import names
from . import folder, network, processes, store

CONTROL_SECRET, CONTROL_NAMESPACE = "control-plane-api-keys", "default"
"""The Secret of the control plane's keys, which is on while it is there, and where its indexes are."""


@dataclasses.dataclass(frozen=True)
class PodView:
    """A pod: its process, and how much memory that holds (resident, bytes)."""

    name: str
    ready: bool
    trouble: str
    """Why it is not ready; empty where it is."""
    address: str
    pid: int
    memory_bytes: int
    log: str


@dataclasses.dataclass(frozen=True)
class IndexView:
    """An index as its user sees it."""

    namespace: str
    name: str
    current: bool
    """Whether the status answers the newest spec."""
    status: vector_index.VectorIndexStatus
    model: str
    endpoint: str
    api_key_file: str
    pods: tuple[PodView, ...]

    def holds(self, kind: str) -> bool:
        """Return whether a condition is true of the newest spec."""
        found = condition.find(self.status.conditions, kind)
        return bool(self.current and found is not None and found.holds)

    @property
    def ready(self) -> bool:
        """Whether the index serves what its newest spec asks for, and nothing is under way."""
        return self.holds(condition.READY) and not self.holds(condition.RECONCILING)

    @property
    def stalled(self) -> bool:
        """Whether only a person can help it."""
        return self.holds(condition.STALLED)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What shards report of themselves, such as MemoryPressure; the index may be ready all the same."""
        return tuple(
            f"{one.type}: {one.message}"
            for one in self.status.conditions
            if one.type not in condition.OWN and one.holds
        )

    @property
    def message(self) -> str:
        """Why it is not ready, or what is under way; else what is good."""
        order = (condition.STALLED, condition.RECONCILING, condition.READY)
        found = [condition.find(self.status.conditions, kind) for kind in order]
        for one in found[:2]:
            if one is not None and one.holds:
                return one.message
        return found[2].message if found[2] is not None else "not looked at yet"


@dataclasses.dataclass(frozen=True)
class ControlView:
    """The control plane's API as its user sees it."""

    endpoint: str
    api_key_file: str


def control_plane(place: folder.Folder) -> ControlView | None:
    """Return where the control plane's API is, None where it is off."""
    secrets = store.read(place.objects, ports.SECRET)
    here = (CONTROL_NAMESPACE, CONTROL_SECRET)
    if not any((one["metadata"]["namespace"], one["metadata"]["name"]) == here for one in secrets):
        return None
    block = str(folder.recollect(place.network).get("block", ""))
    host = network.supervisor_address(block) if block else ""
    files = _files(place.control_keys)
    return ControlView(f"http://{host}:{names.HTTP_PORT}" if host else "", files[0] if files else "")


def indexes(place: folder.Folder) -> tuple[IndexView, ...]:
    """Return every index of a state directory, by namespace and name."""
    pods = store.read(place.objects, ports.POD)
    return tuple(_index(place, one, pods) for one in store.read(place.objects, ports.VECTOR_INDEX))


def manifests(place: folder.Folder) -> tuple[ports.Manifest, ...]:
    """Return the VectorIndexes as they are kept."""
    return store.read(place.objects, ports.VECTOR_INDEX)


def pod_folders(place: folder.Folder, chosen: set[tuple[str, str]]) -> tuple[pathlib.Path, ...]:
    """Return the folders of the pods of some indexes, each named by namespace and name."""
    patterns = [(namespace, rf"{re.escape(name)}-(gateway|g\d+-s\d+)-\d+") for namespace, name in chosen]
    return tuple(
        path
        for path in place.pods()
        if any(path.parent.name == where and re.fullmatch(what, path.name) for where, what in patterns)
    )


def read_key(place: folder.Folder, index: IndexView) -> str:
    """Return an index's API key; empty where there is none yet."""
    for secret in store.read(place.objects, ports.SECRET):
        here = (secret["metadata"]["namespace"], secret["metadata"]["name"])
        if here == (index.namespace, index.status.api_key_secret):
            values = list((secret.get("data") or {}).values())
            return base64.b64decode(values[0]).decode() if values else ""
    return ""


def _index(place: folder.Folder, manifest: ports.Manifest, pods: tuple[ports.Manifest, ...]) -> IndexView:
    metadata = manifest["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    mine = _of(manifest, pods)
    status = parse.parse_status(manifest)
    files = _files(place.pod(namespace, _first_gateway(name)) / "volumes" / "api-keys")
    return IndexView(
        namespace=namespace,
        name=name,
        current=status.observed_generation == metadata["generation"],
        status=status,
        model=str(manifest["spec"].get("model", {}).get("name", "")),
        endpoint=endpoint(manifest, pods),
        api_key_file=files[0] if files else "",
        pods=tuple(_pod(place, one) for one in mine),
    )


def endpoint(manifest: ports.Manifest, pods: tuple[ports.Manifest, ...]) -> str:
    """Return the URL by which this machine reaches an index: that of its first gateway; empty without one."""
    gateway = _first_gateway(manifest["metadata"]["name"])
    mine = (one for one in _of(manifest, pods) if one["metadata"]["name"] == gateway)
    address = next((one["status"]["podIP"] for one in mine), "")
    return f"{_scheme(manifest)}://{address}:{names.HTTP_PORT}" if address else ""


def _first_gateway(index: str) -> str:
    return f"{names.gateway(index)}-0"


def _files(keys: pathlib.Path) -> list[str]:
    return [str(path) for path in sorted(keys.glob("*")) if not path.name.startswith(".")]


def _of(manifest: ports.Manifest, pods: tuple[ports.Manifest, ...]) -> list[ports.Manifest]:
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    return [one for one in pods if one["metadata"]["namespace"] == namespace and _is_of(one, name)]


def _scheme(manifest: ports.Manifest) -> str:
    return "https" if (manifest["spec"].get("gateway") or {}).get("tls") else "http"


def _pod(place: folder.Folder, manifest: ports.Manifest) -> PodView:
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    status = manifest.get("status") or {}
    running = processes.recall(place.pod(namespace, name))
    return PodView(
        name=name,
        ready=any(one["ready"] for one in status.get("containerStatuses") or ()),
        trouble=next((one.get("message", "") for one in status.get("conditions") or ()), ""),
        address=status.get("podIP", ""),
        pid=running.pid if running else 0,
        memory_bytes=processes.memory_of(running.pid) if running else 0,
        log=str(place.log(namespace, name)),
    )


def _is_of(pod: ports.Manifest, index: str) -> bool:
    return bool(pod["metadata"]["labels"].get(names.LABEL_INDEX) == index and "status" in pod)
