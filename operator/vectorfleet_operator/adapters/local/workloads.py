"""Keeps the pods of StatefulSets and Deployments running: the little of a kubelet that one machine needs.

Pods are named by ordinal, of Deployments too, and keep their address, so that an index's endpoint stays where
it is. A changed template restarts them one at a time, each only while the others are ready; a Deployment of
one pod is away for the second that this takes.
"""

import asyncio
import dataclasses
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping
from typing import Any

from ... import errors, ports
from . import folder, network, pod, probes, processes, store, volumes

_LOG = logging.getLogger(__name__)
TICK_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 30.0
_STABLE_SECONDS = 60.0
_UNREADY_PERIOD_SECONDS = 0.3
_NAMES = "names.json"
_WORKLOADS = (ports.STATEFUL_SET, ports.DEPLOYMENT)


@dataclasses.dataclass
class _Pod:
    """A pod that there is, or is to be."""

    who: pod.Identity
    owner: str
    revision: str
    process: pod.Process | None = None
    running: processes.Running | None = None
    ready: bool = False
    problem: str = ""
    stopping_since: float | None = None
    restarts: int = 0
    started: float = 0.0
    not_before: float = 0.0
    asked: float = 0.0
    asked_alive: float = 0.0
    unanswered: int = 0


class Workloads:
    """The pods of one state directory.

    Args:
        place: the state directory.
        objects: its objects; their statuses are written here.
    """

    def __init__(self, place: folder.Folder, objects: store.Store) -> None:
        self._place, self._objects = place, objects
        self._network = network.Network(place.network)
        self._volumes = volumes.Volumes(place, objects)
        self._children = processes.Children()
        self._pods: dict[tuple[str, str], _Pod] = {}
        self._swept = 0.0
        self._adopt()

    async def run(self) -> None:
        """Keep everything as it should be until cancelled."""
        while True:
            await self.tick()
            await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> None:
        """Take each pod a step towards what the objects say."""
        self._children.reap()
        workloads = [one for kind in _WORKLOADS for one in self._objects.of_kind(kind)]
        wanted = {key: owner for owner in workloads for key in pod_keys(owner)}
        for key in [key for key in self._pods if key not in wanted]:
            self._stop_for_good(key)
        for key, owner in wanted.items():
            self._want(key, owner)
        for owner in workloads:
            self._roll(owner)
        await asyncio.gather(*(self._attend(one) for one in list(self._pods.values())))
        for owner in workloads:
            self._publish(owner)
        self._write_hosts()
        self._sweep(workloads)

    @property
    def is_empty(self) -> bool:
        """Whether no pod is left."""
        return not self._pods

    def _adopt(self) -> None:
        """Find the processes again that a supervisor before this one started."""
        for path in self._place.root.glob(f"pods/*/*/{_NAMES}"):
            saved, running = folder.read_json(path), processes.recall(path.with_name(processes.RECORD))
            namespace, name = path.parts[-3], path.parts[-2]
            if saved is None:
                continue
            who = pod.Identity(namespace, name, self._network.address(namespace, name))
            adopted = _Pod(who, saved["owner"], saved["revision"], running=running, started=time.monotonic())
            self._pods[namespace, name] = adopted
            if running is not None:
                _LOG.info("found a pod again", extra={"pod": name, "pid": running.pid})

    def _want(self, key: tuple[str, str], owner: Mapping[str, Any]) -> None:
        if key not in self._pods:
            who = pod.Identity(*key, self._network.address(*key))
            self._pods[key] = _Pod(who, owner["metadata"]["name"], revision_of(owner))
        one = self._pods[key]
        if one.process is None or one.running is None:
            self._define(one, owner)

    def _define(self, one: _Pod, owner: Mapping[str, Any]) -> None:
        """Work out the process that a pod is to run."""
        spec = owner["spec"]["template"]["spec"]
        claims = tuple(claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates") or ())
        namespace = one.who.namespace
        try:
            mounts = pod.mounts(spec, claims, one.who.name)
            folders = self._volumes.prepare(one.who, mounts, owner)
            one.process = pod.process(
                spec, one.who, folders, lambda *names: self._volumes.entry(namespace, *names)
            )
        except errors.OperatorError as error:
            one.process, one.problem = None, str(error)
            return
        if one.running is None:
            one.revision, one.problem = revision_of(owner), ""

    def _roll(self, owner: Mapping[str, Any]) -> None:
        """Restart one pod of an older template, if all the others are ready."""
        mine = [self._pods[key] for key in pod_keys(owner)]
        stale = [one for one in mine if one.revision != revision_of(owner) and one.running is not None]
        if any(one.stopping_since is not None for one in mine):
            return
        for one in sorted(stale, key=lambda one: one.ready):
            if all(other.ready for other in mine if other is not one):
                _stop(one)
                return

    async def _attend(self, one: _Pod) -> None:
        now = time.monotonic()
        if one.stopping_since is not None:
            self._hurry(one, now)
        elif one.running is not None and not one.running.is_alive():
            _LOG.warning("a pod's process has ended", extra={"pod": one.who.name})
            self._ended(one, now)
        elif one.running is None:
            self._start(one, now)
        else:
            await _probe(one, now)

    def _start(self, one: _Pod, now: float) -> None:
        if one.process is None or now < one.not_before:
            return
        at = self._place.pod(one.who.namespace, one.who.name)
        log = self._place.log(one.who.namespace, one.who.name)
        environment = {**one.process.environment, "VECTORFLEET_HOSTS_FILE": str(self._place.hosts)}
        folder.write_json(at / _NAMES, {"owner": one.owner, "revision": one.revision})
        self._write_hosts()
        try:
            one.running = self._children.start(one.process.command, environment, log, at / processes.RECORD)
        except errors.Transient as error:
            one.problem = str(error)
            self._ended(one, now)
            return
        one.started, one.problem, one.unanswered = now, "", 0
        _LOG.info(
            "started a pod", extra={"pod": one.who.name, "pid": one.running.pid, "address": one.who.address}
        )

    def _ended(self, one: _Pod, now: float) -> None:
        one.running, one.ready = None, False
        one.restarts = 0 if now - one.started > _STABLE_SECONDS else one.restarts + 1
        one.not_before = now + backoff(one.restarts)
        if one.restarts > 1:
            log = self._place.log(one.who.namespace, one.who.name)
            one.problem = one.problem or f"its process keeps ending; see {log}"

    def _hurry(self, one: _Pod, now: float) -> None:
        """Follow a pod that was told to end."""
        if one.running is None or not one.running.is_alive():
            one.running, one.stopping_since, one.restarts, one.not_before = None, None, 0, 0.0
            return
        grace = one.process.grace_seconds if one.process else 30.0
        if now - (one.stopping_since or now) > grace:
            processes.end(one.running, at_once=True)

    def _stop_for_good(self, key: tuple[str, str]) -> None:
        one = self._pods[key]
        if one.running is not None and one.running.is_alive():
            if one.stopping_since is None:
                _stop(one)
            return
        del self._pods[key]
        self._objects.delete((ports.POD.kind, *key))
        self._network.release(*key)
        shutil.rmtree(self._place.pod(*key), ignore_errors=True)

    def _publish(self, owner: Mapping[str, Any]) -> None:
        mine = [self._pods[key] for key in pod_keys(owner)]
        fresh = revision_of(owner)
        ready = sum(one.ready for one in mine)
        status = {
            "observedGeneration": owner["metadata"]["generation"],
            "replicas": len(mine),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": sum(one.revision == fresh and one.running is not None for one in mine),
        }
        place = store.place_of(owner)
        # Deleted meanwhile: there is nothing to write to.
        if (found := self._objects.find(place)) is not None and found.get("status") != status:
            self._objects.set_status(place, status)
        for one in mine:
            self._publish_pod(one, owner)

    def _publish_pod(self, one: _Pod, owner: Mapping[str, Any]) -> None:
        manifest = build_pod(one.who, owner)
        self._objects.apply(manifest)
        status = build_pod_status(one.who, ready=one.ready, problem=one.problem)
        place = store.place_of(manifest)
        if (self._objects.find(place) or {}).get("status") != status:
            self._objects.set_status(place, status)

    def _write_hosts(self) -> None:
        names: dict[str, str] = {}
        for service in self._objects.of_kind(ports.SERVICE):
            names |= _names_of(service, self._objects.of_kind(ports.POD))
        network.write_hosts(self._place.hosts, names)

    def _sweep(self, workloads: list[dict[str, Any]]) -> None:
        now = time.monotonic()
        if now - self._swept < 1.0:
            return
        self._swept = now
        if not self._pods or workloads:
            self._volumes.sweep({one["metadata"]["uid"] for one in workloads})
        for key in self._pods:
            processes.cap_log(self._place.log(*key))


async def _probe(one: _Pod, now: float) -> None:
    ready, alive = (one.process.ready, one.process.alive) if one.process else (None, None)
    pause = min(_UNREADY_PERIOD_SECONDS, ready.period_seconds) if ready and not one.ready else 1.0
    if ready is not None and now - one.asked >= pause:
        one.asked = now
        one.ready = await probes.passes(ready, one.who.address)
    if alive is not None and one.ready is False and now - one.asked_alive >= alive.period_seconds:
        one.asked_alive = now
        one.unanswered = 0 if await probes.passes(alive, one.who.address) else one.unanswered + 1
        if one.unanswered > alive.failures and one.running is not None:
            _LOG.warning("a pod does not answer and is ended", extra={"pod": one.who.name})
            processes.end(one.running, at_once=True)


def _stop(one: _Pod) -> None:
    one.stopping_since, one.ready = time.monotonic(), False
    if one.running is not None:
        processes.end(one.running, at_once=False)


def backoff(restarts: int) -> float:
    """Return the seconds to wait before a start, after so many ends in a row: 0, then 1 to 30. PURE."""
    return 0.0 if restarts <= 1 else min(_LONGEST_BACKOFF_SECONDS, 2.0 ** (restarts - 2))


def pod_keys(owner: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return namespace and name of each pod that a workload wants. PURE."""
    metadata = owner["metadata"]
    count = owner["spec"].get("replicas", 1)
    return tuple((metadata["namespace"], f"{metadata['name']}-{n}") for n in range(count))


def revision_of(owner: Mapping[str, Any]) -> str:
    """Return a digest of a workload's pod template. PURE."""
    template = json.dumps(owner["spec"]["template"], sort_keys=True)
    return hashlib.sha256(template.encode()).hexdigest()[:10]


def build_pod(who: pod.Identity, owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Pod object of a process: enough to list and to understand it. PURE."""
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
    reference |= {field: owner["metadata"][field] for field in ("name", "uid")}
    metadata = {
        "name": who.name,
        "namespace": who.namespace,
        "labels": dict(owner["spec"]["template"]["metadata"].get("labels", {})),
        "ownerReferences": [reference],
    }
    return {"apiVersion": ports.POD.api_version, "kind": ports.POD.kind, "metadata": metadata}


def build_pod_status(who: pod.Identity, *, ready: bool, problem: str) -> dict[str, Any]:
    """Return the status of a Pod. PURE."""
    waiting = {"waiting": {"reason": "NotRunning", "message": problem}} if problem else {}
    return {
        "podIP": who.address,
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"ready": ready, "state": waiting}],
    }


def _names_of(service: Mapping[str, Any], pods: tuple[dict[str, Any], ...]) -> dict[str, str]:
    """Return the names that cluster DNS has for a Service: its own, or its pods' where it is headless."""
    metadata, spec = service["metadata"], service["spec"]
    suffix = f"{metadata['name']}.{metadata['namespace']}.svc"
    selector = (spec.get("selector") or {}).items()
    addresses = {
        one["metadata"]["name"]: one["status"]["podIP"]
        for one in pods
        if one["metadata"]["namespace"] == metadata["namespace"]
        and selector <= one["metadata"]["labels"].items()
        and "status" in one
    }
    if spec.get("clusterIP") == "None":
        return {f"{name}.{suffix}": address for name, address in addresses.items()}
    return {suffix: addresses[min(addresses)]} if addresses else {}
