"""The little of Kubernetes that matters to replicas: pods that end in their own time and are made anew."""

import dataclasses

from simulation import loop, register

_GRACE = 60 * loop.SECOND


@dataclasses.dataclass
class Pod:
    """One replica's pod; a process that dies is started anew in the same one."""

    revision: int
    made: int = 1
    terminating: bool = False
    there: bool = True


class Pods:
    """The pods of all replicas, by name."""

    def __init__(self, world):
        self._world = world
        self.revision = 1  # of the newest template
        self._pods = {name: Pod(self.revision) for name in world.wanted}

    def objects(self):
        """Return the StatefulSet and the pods, as the API server has them."""
        kind, name = "StatefulSet", register.SHARD
        metadata = {"name": name, "generation": 1}
        status = {"observedGeneration": 1, "updateRevision": str(self.revision)}
        found = {(kind, name): {"kind": kind, "metadata": metadata, "status": status}}
        for name, pod in self._pods.items():
            if pod.there:
                found["Pod", name] = self._object(name, pod)
        return found

    def _object(self, name, pod):
        labels = {"controller-revision-hash": str(pod.revision)}
        metadata = {"name": name, "uid": f"{name}.{pod.made}", "labels": labels}
        if pod.terminating:
            metadata["deletionTimestamp"] = "now"
        ready = self._world.nodes[name].core is not None
        return {
            "kind": "Pod",
            "metadata": metadata,
            "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
        }

    def may_run(self, name):
        """Tell whether there is a pod for a process to run in."""
        return self._pods[name].there

    def change_template(self):
        """Let all pods be of an older template."""
        self.revision += 1

    def delete(self, name, uid, answer=lambda done: None):
        """Delete a pod: its process is told to end, and a primary waits until its place is taken."""
        pod = self._pods[name]
        if pod.there and not pod.terminating and uid in (None, f"{name}.{pod.made}"):
            pod.terminating = True
            node = self._world.nodes[name]
            node.enter(None, node.leave)
            self._watch(name, pod, self._world.clock.now + _GRACE)
        answer(True)

    def _watch(self, name, pod, until):
        node = self._world.nodes[name]
        if node.core is not None and not node.has_left and self._world.clock.now < until:
            self._world.clock.after(2, self._watch, name, pod, until)
            return
        node.crash()
        pod.there = False
        self._world.clock.after(20 * self._world.rng.random(), self._make, name, pod)

    def _make(self, name, pod):
        pod.there, pod.terminating = True, False
        pod.made, pod.revision = pod.made + 1, self.revision
        self._world.restart_later(self._world.nodes[name])
