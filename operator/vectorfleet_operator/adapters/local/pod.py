"""A pod template becomes a process: what to run, with which environment, on which folders. PURE.

A process sees the machine's own file system, so what a container would find below a mount path is found in a
folder elsewhere: paths below a mount path are rewritten, in arguments and in the environment.
"""

import dataclasses
import pathlib
import re
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
    period_seconds: float = 10.0
    timeout_seconds: float = 1.0
    failures: int = 3


@dataclasses.dataclass(frozen=True)
class Process:
    """What runs in place of a container."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(repr=False)
    ready: Probe | None
    alive: Probe | None
    start: Probe | None
    """Replaces `alive` until the process first shows a sign of life."""
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
        start=_probe(only.get("startupProbe"), named),
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
    """Return a word with each mount path in it replaced by its folder.

    A path begins where the word does, or after one of `= : ,`, so that `--config=/etc/x` is rewritten too and
    `/opt/etc/x` is not.
    """
    if not folders:
        return word
    longest_first = sorted((path.rstrip("/") for path in folders), key=len, reverse=True)
    by_path = {path.rstrip("/"): str(folder) for path, folder in folders.items()}
    pattern = rf"(^|[=:,])({'|'.join(map(re.escape, longest_first))})(?=$|[/:,])"
    return re.sub(pattern, lambda found: found[1] + by_path[found[2]], word)


def _value(variable: Mapping[str, Any], who: Identity, look_up: Lookup) -> str:
    source = variable.get("valueFrom")
    if source is None:
        return str(variable.get("value", ""))
    if "fieldRef" in source:
        known = {"metadata.name": who.name, "metadata.namespace": who.namespace, "status.podIP": who.address}
        path = source["fieldRef"]["fieldPath"]
        if path not in known:
            raise errors.Rejected(f"{path} is not known on this machine; it has {', '.join(known)}")
        return known[path]
    for entry, kind in (("secretKeyRef", ports.SECRET), ("configMapKeyRef", ports.CONFIG_MAP)):
        if entry in source:
            return look_up(kind.kind, source[entry]["name"], source[entry]["key"])
    raise errors.Rejected(
        f"{variable['name']} takes its value from {', '.join(source)}, which needs a kubelet"
    )


def _probe(given: Mapping[str, Any] | None, named: Mapping[str, int]) -> Probe | None:
    if given is None:
        return None
    if "httpGet" not in given:
        raise errors.Rejected("a probe on this machine is an httpGet")
    port = given["httpGet"]["port"]
    if isinstance(port, str) and port not in named:
        raise errors.Rejected(f"a probe asks port {port!r}; the container names {', '.join(named) or 'none'}")
    return Probe(
        path=given["httpGet"].get("path", "/"),
        port=named[port] if isinstance(port, str) else int(port),
        period_seconds=float(given.get("periodSeconds", 10)),
        timeout_seconds=float(given.get("timeoutSeconds", 1)),
        failures=int(given.get("failureThreshold", 3)),
    )
