"""Keeps the pods of StatefulSets and Deployments running: the little of a kubelet that one machine needs.

Pods are named by ordinal, of Deployments too, and keep their address, so that an index's endpoint stays where
it is. A changed template restarts them one at a time, each only while the others are ready; a Deployment of
one pod is away for the second that this takes.
"""

import asyncio
import logging
import shutil
from collections.abc import Mapping
from typing import Any

from ... import errors, ports
from ...desired import names
from . import complaints, folder, logfiles, network, objects, pod, pods, processes, store, volumes

_LOG = logging.getLogger(__name__)
TICK_SECONDS = 0.2
_SWEEP_SECONDS = 1.0
_WORKLOADS = (ports.STATEFUL_SET, ports.DEPLOYMENT)
_HOSTS = "VECTORFLEET_HOSTS_FILE"


class Workloads:
    """The pods of one state directory.

    Args:
        place: the state directory.
        kept: its objects; the statuses of workloads and pods are written here.
    """

    def __init__(self, place: folder.Folder, kept: store.Store) -> None:
        self._place, self._objects = place, kept
        self._network = network.Network(place.network)
        self._volumes = volumes.Volumes(place, kept)
        self._children = processes.Children()
        self._pods: dict[objects.Key, pods.Pod] = {}
        self._complaints = complaints.Complaints()
        self._swept = 0.0
        self._ending: dict[objects.Key, processes.Running | None] = {}

    @property
    def host(self) -> str:
        """The supervisor's own address, beside those of its pods."""
        return self._network.supervisor

    async def run(self) -> None:
        """Keep everything as it should be until cancelled; nothing that fails ends it."""
        self._adopt()
        try:
            while True:
                with self._complaints.apart("a look at the pods failed", "all"):
                    self.tick(asyncio.get_running_loop().time())
                await asyncio.sleep(TICK_SECONDS)
        finally:
            await pods.quiet(list(self._pods.values()))

    def tick(self, now: float) -> None:
        """Take each pod a step towards what the objects say; one that fails keeps no other from its own."""
        owners = [one for kind in _WORKLOADS for one in self._objects.of_kind(kind)]
        wanted = {key: owner for owner in owners for key in objects.pod_keys(owner)}
        for key in [key for key in self._pods if key not in wanted and not self._is_orphan(key)]:
            with self._complaints.apart("a pod can't be ended", "/".join(key)):
                self._end(key, now)
        for key, owner in wanted.items():
            with self._complaints.apart("a pod can't be run", "/".join(key)):
                self._want(key, owner)
                self._pods[key].step(self._children, {_HOSTS: str(self._place.hosts)}, now)
        for owner in owners:
            with self._complaints.apart("a workload can't be followed", owner["metadata"]["name"]):
                if not objects.restarts_on_delete(owner):
                    self._roll(owner, now)
                self._publish(owner, now)
        self._write_hosts()
        if now - self._swept >= _SWEEP_SECONDS:
            self._swept = now
            self._sweep(wanted)

    def _adopt(self) -> None:
        """Find the processes again that a supervisor before this one started."""
        now, unrecorded = asyncio.get_running_loop().time(), processes.find(self._place.root)
        for path in sorted({*self._place.pods(), *unrecorded}):
            key = (path.parent.name, path.name)
            running = processes.recall(path) or unrecorded.get(path)
            self._make(key).adopt(running, now)
            if running is not None:
                _LOG.info("found a pod again", extra={"pod": path.name, "pid": running.pid})

    def _is_orphan(self, key: objects.Key) -> bool:
        """Return whether a pod was left behind for a workload that is made again."""
        found = self._objects.find((ports.POD.kind, *key))
        if found is None or found["metadata"].get("ownerReferences"):
            return False
        index = found["metadata"].get("labels", {}).get(names.LABEL_INDEX, "")
        return self._objects.find((ports.VECTOR_INDEX.kind, key[0], index)) is not None

    def _make(self, key: objects.Key) -> pods.Pod:
        who = pod.Identity(*key, self._network.address(*key))
        self._pods[key] = pods.Pod(who, self._place.pod(*key), self._place.log(*key))
        return self._pods[key]

    def _want(self, key: objects.Key, owner: Mapping[str, Any]) -> None:
        one = self._pods.get(key) or self._make(key)
        if one.plan is None or one.running is None:
            self._define(one, owner)

    def _define(self, one: pods.Pod, owner: Mapping[str, Any]) -> None:
        """Work out what a pod is to run."""
        try:
            folders = self._prepare(one, owner)
            spec, namespace = owner["spec"]["template"]["spec"], one.who.namespace
            process = pod.process(
                spec, one.who, folders, lambda *entry: self._volumes.entry(namespace, *entry)
            )
        except errors.OperatorError as error:
            one.plan, one.problem = None, str(error)
            return
        one.plan = pods.Plan(process, objects.revision_of(owner))

    def _prepare(self, one: pods.Pod, owner: Mapping[str, Any]) -> volumes.Folders:
        spec = owner["spec"]["template"]["spec"]
        mounts = pod.mounts(spec, objects.claims_of(owner), one.who.name)
        return self._volumes.prepare(one.who, mounts, owner)

    def _roll(self, owner: Mapping[str, Any], now: float) -> None:
        """Restart a pod of an older template: one that is not ready anyway, or one while all others are."""
        mine = self._of(owner)
        if any(one.stopping for one in mine):
            return
        fresh = objects.revision_of(owner)
        stale = [one for one in mine if one.revision != fresh and one.running is not None]
        for one in sorted(stale, key=lambda one: one.ready):
            if not one.ready or all(other.ready for other in mine if other is not one):
                one.stop(now)
                return

    def _end(self, key: objects.Key, now: float) -> None:
        """End a pod that is not wanted any more, and remove what it had besides its claims."""
        one = self._pods[key]
        if one.is_gone(now):
            del self._pods[key]
            self._objects.delete((ports.POD.kind, *key))
            self._network.release(*key)
            shutil.rmtree(one.place, ignore_errors=True)

    def _of(self, owner: Mapping[str, Any]) -> list[pods.Pod]:
        return [self._pods[key] for key in objects.pod_keys(owner) if key in self._pods]

    def _publish(self, owner: Mapping[str, Any], now: float) -> None:
        mine, fresh = self._of(owner), objects.revision_of(owner)
        updated = sum(one.revision == fresh and one.running is not None for one in mine)
        status = objects.build_workload_status(owner, sum(one.ready for one in mine), updated)
        self._tell(store.place_of(owner), status)
        for one in mine:
            manifest = objects.build_pod(one.who, owner, one.revision)
            self._renew(one, store.place_of(manifest), now)
            found = self._objects.find(store.place_of(manifest))
            if found is None or any(
                found["metadata"].get(field) != manifest["metadata"][field]
                for field in ("labels", "ownerReferences")
            ):
                self._objects.apply(manifest)
            told = objects.build_pod_status(
                one.who, ready=one.ready, problem=one.problem, trouble=one.trouble
            )
            self._tell(store.place_of(manifest), told)

    def _renew(self, one: pods.Pod, place: store.Place, now: float) -> None:
        """End the process of a pod whose object is being deleted; once it is gone, so is the object."""
        found, key = self._objects.find(place), (one.who.namespace, one.who.name)
        if found is None or "deletionTimestamp" not in found["metadata"]:
            self._ending.pop(key, None)
            return
        ending = self._ending.setdefault(key, one.running)
        if one.running is not None and one.running == ending:
            one.stop(now)
            return
        del self._ending[key]
        one.forgive()
        self._objects.delete(place)

    def _tell(self, place: store.Place, status: dict[str, Any]) -> None:
        found = self._objects.find(place)
        if found is not None and found.get("status") != status:  # None: deleted meanwhile
            self._objects.set_status(place, status)

    def _write_hosts(self) -> None:
        names: dict[str, str] = {}
        every = self._objects.of_kind(ports.POD)
        for service in self._objects.of_kind(ports.SERVICE):
            names |= objects.names_of(service, every)
        network.write_hosts(self._place.hosts, names)

    def _sweep(self, wanted: Mapping[objects.Key, Mapping[str, Any]]) -> None:
        """Bring mounted entries up to date, cap logs, mend files, remove volumes that go with their index."""
        for key in wanted.keys() & self._pods.keys():
            with self._complaints.apart("a pod's volumes are out of date", "/".join(key)):
                self._prepare(self._pods[key], wanted[key])
        for log in (self._place.supervisor_log, *(self._place.log(*key) for key in self._pods)):
            logfiles.cap(log)
        self._objects.mend()
        self._volumes.sweep(self._objects.uids(), set(self._pods))
