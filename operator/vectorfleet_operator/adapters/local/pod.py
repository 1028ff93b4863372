"""A pod template becomes a process: what to run, with which environment, on which folders. PURE.

A process sees the machine's own file system, so what a container would find below a mount path is found in a
folder elsewhere: paths that begin with a mount path are rewritten, in arguments and in the environment.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from ... import errors, ports


@dataclasses.dataclass(frozen=True)
class Identity:
    """Which pod it is, and where."""

    namespace: str
    name: str
    address: str


@dataclasses.dataclass(frozen=True)
class Mount:
    """A volume of the pod and the path at which the container expects it."""

    path: str
    volume: Mapping[str, Any]
    """As in the pod's `volumes`; for a claim template, a persistentVolumeClaim."""

    @property
    def name(self) -> str:
        """The volume's name."""
        return str(self.volume["name"])


@dataclasses.dataclass(frozen=True)
class Probe:
    """An HTTP probe and its patience."""

    path: str
    port: int
    period_seconds: float
    failures: int


@dataclasses.dataclass(frozen=True)
class Process:
    """What runs in place of a container."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(repr=False)
    ready: Probe | None
    alive: Probe | None
    grace_seconds: float


Lookup = Callable[[str, str, str], str]
"""(kind, name, key) → the text of an entry of a ConfigMap or Secret."""


def mounts(spec: Mapping[str, Any], claims: tuple[str, ...], pod: str) -> tuple[Mount, ...]:
    """Return the mounts of a pod's one container; each claim template is a volume of the pod's own."""
    volumes = {volume["name"]: volume for volume in spec.get("volumes") or ()}
    for claim in claims:
        volumes[claim] = {"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{pod}"}}
    mounted = container(spec).get("volumeMounts") or ()
    return tuple(Mount(mount["mountPath"], volumes[mount["name"]]) for mount in mounted)


def process(
    spec: Mapping[str, Any], who: Identity, folders: Mapping[str, pathlib.Path], look_up: Lookup
) -> Process:
    """Return the process of a pod.

    Args:
        spec: the pod's spec; it has one container.
        who: fills what the spec asks of the downward API.
        folders: the folder of each mount path.
        look_up: finds entries of ConfigMaps and Secrets.

    Raises:
        errors.Rejected: the spec asks for what only a real kubelet can give.
    """
    only = container(spec)
    environment = {one["name"]: _value(one, who, look_up) for one in only.get("env") or ()}
    words: list[str] = [*(only.get("command") or []), *(only.get("args") or [])]
    named = {port["name"]: port["containerPort"] for port in only.get("ports") or () if "name" in port}
    return Process(
        command=tuple(rewrite(word, folders) for word in words),
        environment={name: rewrite(value, folders) for name, value in environment.items()},
        ready=_probe(only.get("readinessProbe"), named),
        alive=_probe(only.get("livenessProbe"), named),
        grace_seconds=float(spec.get("terminationGracePeriodSeconds", 30)),
    )


def container(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the one container of a pod.

    Raises:
        errors.Rejected: there are several, or none.
    """
    containers: list[Mapping[str, Any]] = spec.get("containers") or []
    if len(containers) != 1:
        raise errors.Rejected(f"a pod on this machine has one container, not {len(containers)}")
    return containers[0]


def rewrite(word: str, folders: Mapping[str, pathlib.Path]) -> str:
    """Return a word with the mount path that it begins with replaced by its folder."""
    for path in sorted(folders, key=len, reverse=True):
        if word == path or word.startswith(path.rstrip("/") + "/"):
            return f"{folders[path]}{word[len(path.rstrip('/')) :]}"
    return word


def _value(variable: Mapping[str, Any], who: Identity, look_up: Lookup) -> str:
    source = variable.get("valueFrom")
    if source is None:
        return str(variable.get("value", ""))
    if "fieldRef" in source:
        known = {"metadata.name": who.name, "metadata.namespace": who.namespace, "status.podIP": who.address}
        path = source["fieldRef"]["fieldPath"]
        if path in known:
            return known[path]
        raise errors.Rejected(f"{path} is not known on this machine; it has {', '.join(known)}")
    for entry, kind in (("secretKeyRef", ports.SECRET), ("configMapKeyRef", ports.CONFIG_MAP)):
        if entry in source:
            return look_up(kind.kind, source[entry]["name"], source[entry]["key"])
    raise errors.Rejected(
        f"{variable['name']} takes its value from {', '.join(source)}, which needs a kubelet"
    )


def _probe(given: Mapping[str, Any] | None, named: Mapping[str, int]) -> Probe | None:
    if given is None or "httpGet" not in given:
        return None
    port = given["httpGet"]["port"]
    return Probe(
        path=given["httpGet"].get("path", "/"),
        port=named.get(port, 0) if isinstance(port, str) else int(port),
        period_seconds=float(given.get("periodSeconds", 10)),
        failures=int(given.get("failureThreshold", 3)),
    )
