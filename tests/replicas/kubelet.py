"""The little of Kubernetes that matters: pods of StatefulSets start and end, and it says what is ready."""

import asyncio

from replicas import ports, replica

POD_SECONDS = 1.0
"""How long a pod takes to start."""


class Kubelet:
    """Runs the pods of a world's cluster."""

    def __init__(self, world):
        self.world = world
        self.ending = {}
        self.revisions = {}

    async def run(self):
        """Run the pods of StatefulSets; say that Deployments are ready."""
        while True:
            await asyncio.sleep(0.1)
            now = asyncio.get_running_loop().time()
            changed = False
            for workload in list(self.world.cluster._objects.values()):
                if workload["kind"] == "Deployment":
                    changed |= self._publish(workload, workload["spec"].get("replicas", 1), "")
                if workload["kind"] == "StatefulSet":
                    changed |= self._run_pods(workload, now)
            if changed:
                self.world.wake()

    def _run_pods(self, workload, now):
        name, count = workload["metadata"]["name"], workload["spec"]["replicas"]
        revision = self._revision(workload)
        wanted = [f"{name}-{n}" for n in range(count)]
        mine = [one for one in self.world.replicas if one.rpartition("-")[0] == name]
        changed = False
        for pod in {*wanted, *mine}:
            changed |= self._run_pod(pod, workload, revision if pod in wanted else None, now)
        ready = sum(_is_ready(self.world.replicas[pod]) for pod in wanted if pod in self.world.replicas)
        return self._publish(workload, ready, revision) or changed

    def _revision(self, workload):
        key = (workload["metadata"]["name"], workload["metadata"]["generation"])
        if key not in self.revisions:
            self.revisions[key] = str(hash(str(workload["spec"]["template"])))
        return self.revisions[key]

    def _run_pod(self, name, workload, revision, now):
        one = self.world.replicas.setdefault(name, replica.Replica(name))
        pod = self.world.cluster.find("Pod", name)
        if name in self.world.dead_nodes:
            return False
        if pod is None and revision is not None:
            self._create(name, workload, revision)
            self.ending[name] = now + POD_SECONDS
            return True
        if pod is None:
            return False
        if revision is None:
            self.world.cluster.terminate(name)
        if pod["metadata"].get("deletionTimestamp"):
            return self._end(one, now)
        if not one.up and now >= self.ending.setdefault(name, now + POD_SECONDS):
            one.start(now)
            self.ending.pop(name)
        return self._tell(name, ready=_is_ready(one))

    def _leads(self, one):
        """Return whether a process waits for another one to take its place before it ends."""
        return one.up and one.office is not None and one.office.learned and not one.broken

    def _end(self, one, now):
        """A primary that is told to stop serves until its place is taken, others go at once."""
        if one.up and not one.leaving:
            one.leaving, self.ending[one.name] = True, now + 60
        if self._leads(one) and now < self.ending[one.name]:
            lead = one.office.configuration
            if len(lead.members) > 1 and one.promised == lead.epoch:
                return False
        one.crash()
        self.ending.pop(one.name, None)
        self.world.cluster.remove("Pod", one.name)
        return True

    def _create(self, name, workload, revision):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        metadata = {
            "name": name, "namespace": ports.KEY.namespace, "uid": f"{name}-{self.world.random.random()}",
            "labels": labels | {"controller-revision-hash": revision},
        }  # fmt: skip
        self.world.cluster._objects["Pod", ports.KEY.namespace, name] = {
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {},
        }  # fmt: skip

    def _tell(self, name, ready):
        pod = self.world.cluster.find("Pod", name)
        status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
        if pod["status"] == status:
            return False
        pod["status"] = status
        return True

    def _publish(self, workload, ready, revision):
        count = workload["spec"].get("replicas", 1)
        status = {
            "observedGeneration": workload["metadata"]["generation"], "replicas": count,
            "updatedReplicas": count, "readyReplicas": ready, "updateRevision": revision,
        }  # fmt: skip
        if workload.get("status") == status:
            return False
        self.world.cluster.set_status(workload, status)
        return True


def _is_ready(one):
    return one.up and not one.refuses
