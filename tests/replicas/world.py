"""A cluster in virtual time: replicas, a network, the little of Kubernetes that matters, clients.

The operator is the real one, from `attend` down; only its ports lead here.
"""

import asyncio
import contextlib
import copy
import datetime
import random

from replicas import replica

from vectorfleet_operator import attend, errors, lookout, ports, reconcile, replication
from vectorfleet_operator.adapters import memory

KEY = ports.Key("shop", "products")
IMAGE = "vectorfleet/data-plane:0.1.0"
OPERATOR = "operator"
POD_SECONDS = 1.0
"""How long a pod takes to start."""


class Clock:
    """Virtual time."""

    def now(self):
        return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(
            seconds=self.monotonic()
        )

    def monotonic(self):
        return asyncio.get_running_loop().time()


class Entropy:
    """Secrets that count up."""

    draws = 0

    def secret(self):
        self.draws += 1
        return f"secret-{self.draws}"


class Cluster(memory.MemoryCluster):
    """An API server that takes a moment, may be away, and lets pods end in their own time."""

    def __init__(self, world):
        super().__init__()
        self.world = world
        self.calls = 0
        self.writes = 0
        self.away = False
        self.committed = {}

    async def _call(self):
        self.calls += 1
        await asyncio.sleep(self.world.random.uniform(0.001, 0.01))
        if self.away or self.world.random.random() < self.world.api_faults:
            raise errors.Transient("the API server does not answer")

    async def apply(self, manifest):
        await self._call()
        self.writes += 1
        return await super().apply(manifest)

    async def get(self, kind, namespace, name):
        await self._call()
        return await super().get(kind, namespace, name)

    async def list(self, kind, namespace, labels):
        await self._call()
        return await super().list(kind, namespace, labels)

    async def delete(self, manifest, *, orphan=False):
        await self._call()
        if manifest["kind"] == "Pod":
            self.terminate(manifest["metadata"]["name"])
        else:
            await super().delete(manifest, orphan=orphan)

    async def apply_status(self, manifest):
        await self._call()
        self.writes += 1
        stored = await super().apply_status(manifest)
        self._note(stored)
        if self.world.random.random() < self.world.api_faults:
            raise errors.Transient("the answer got lost")
        return stored

    def _note(self, stored):
        """Keep the history of configurations; two of one epoch must be the same."""
        found = stored.get("status", {}).get("configuration")
        if stored["kind"] == "VectorShard" and found:
            place = (stored["metadata"]["name"], found["epoch"])
            assert self.committed.setdefault(place, found) == found, (
                f"two configurations of one epoch: {place}"
            )

    def terminate(self, name):
        pod = self._objects.get(("Pod", KEY.namespace, name))
        if pod is not None:
            pod["metadata"].setdefault("deletionTimestamp", "now")

    def remove(self, kind, name):
        self._objects.pop((kind, KEY.namespace, name), None)

    def find(self, kind, name):
        return self._objects.get((kind, KEY.namespace, name))

    def annotate(self, kind, name, **notes):
        found = self._objects[kind, KEY.namespace, name]
        found["metadata"]["annotations"] = found["metadata"].get("annotations", {}) | notes
        self._version += 1
        found["metadata"]["resourceVersion"] = str(self._version)


def sound(carry_out):
    """Return what is carried out where the data is not damaged; else there is no answer."""
    return lambda one, now: None if one.damaged else carry_out(one, now)


class Shards:
    """The port `Shards`: calls travel through the network of the world."""

    def __init__(self, world, caller=OPERATOR):
        self.world, self.caller = world, caller

    async def state(self, address, token):
        return await self._call(address, lambda one, now: one.state(now), 0.8)

    async def report(self, address, token):
        state = await self._call(address, lambda one, now: one.state(now), 1.0)
        if not isinstance(state, replication.ReplicaState):
            return None
        return ports.ShardReport(
            pod=state.name, epoch=state.last.epoch, seq=state.last.seq, rows=state.last.seq,
            unindexed_rows=0, segments=0, memory_bytes=1, disk_bytes=1, building=False, version="1",
            problem="", replica=state,
        )  # fmt: skip

    async def seal(self, address, token, epoch, disk, *, begins):
        return await self._call(address, sound(lambda one, now: one.seal(epoch, disk, begins)), 3.0)

    async def lead(self, address, token, configuration, seconds):
        end = asyncio.get_running_loop().time() + seconds
        while True:
            led = await self._call(address, sound(lambda one, now: one.lead(configuration, now)), 3.0)
            if led is None or led.held or not led.leading or asyncio.get_running_loop().time() > end:
                return led
            await asyncio.sleep(0.02)

    async def configure(self, address, token, configuration, learners):
        tell = sound(lambda one, now: one.configure(configuration, learners, now))
        return await self._call(address, tell, 3.0)

    async def rebuild(self, address, token, disk, epoch):
        return await self._call(address, lambda one, now: one.rebuild(disk), 30.0)

    async def _call(self, address, carry_out, patience):
        return await self.world.call(self.caller, address.partition(".")[0], carry_out, patience)


class World:
    """Everything around one index.

    Args:
        seed: of all chance.
        spec: adds to the index's spec.
    """

    def __init__(self, seed=1, **spec):
        self.random = random.Random(seed)
        self.replicas = {}
        self.cuts = set()
        self.drops = 0.0
        self.api_faults = 0.0
        self.dead_nodes = set()
        self.cluster = Cluster(self)
        self.spec = {"model": {"name": "m", "dimensions": 3}, "shards": 1, "replicas": 3} | spec
        self.tasks = set()
        self.operators = {}
        self.acknowledged = {}
        self.last_ack = {}
        self.gaps = {}
        self.ending = {}
        self.boards = []
        self.revisions = {}

    # ---------------------------------------------------------------- life

    @contextlib.asynccontextmanager
    async def living(self, operators=1, writers=True):
        await self.submit()
        for number in range(operators):
            self.start_operator(f"{OPERATOR}{number}" if number else OPERATOR)
        self._go(self._kubernetes())
        self._go(self._ship())
        if writers:
            self._go(self._write())
        try:
            yield self
        finally:
            for task in (*self.tasks, *self.operators.values()):
                task.cancel()
            done = await asyncio.gather(*self.tasks, *self.operators.values(), return_exceptions=True)
            faults = [one for one in done if isinstance(one, Exception)]
            if faults:
                raise faults[0]

    def start_operator(self, name=OPERATOR):
        clock, shards = Clock(), Shards(self, name)
        given = ports.Ports(self.cluster, shards, clock, Entropy())
        operator = reconcile.Operator(given, lookout.Lookout(shards, clock), IMAGE)
        board = attend.Board()
        self.boards.append(board)
        self.operators[name] = asyncio.create_task(
            attend.attend(KEY, attend.build_attendant(operator), board)
        )

    async def kill_operator(self, name=OPERATOR):
        task = self.operators.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def submit(self, **spec):
        self.spec |= spec
        manifest = {
            "apiVersion": "vectorfleet.io/v1alpha1", "kind": "VectorIndex",
            "metadata": {"name": KEY.name, "namespace": KEY.namespace}, "spec": copy.deepcopy(self.spec),
        }  # fmt: skip
        await memory.MemoryCluster.apply(self.cluster, manifest)
        self._wake()

    def _go(self, coroutine):
        self.tasks.add(asyncio.create_task(coroutine))

    def _wake(self):
        for board in self.boards:
            board.wake(KEY)

    # ---------------------------------------------------------------- network

    def reaches(self, one, other):
        return (one, other) not in self.cuts and self.random.random() >= self.drops

    def cut(self, one, other, both=True):
        self.cuts.add((one, other))
        if both:
            self.cuts.add((other, one))

    def heal(self):
        self.cuts.clear()
        self.drops = self.api_faults = 0.0
        self.cluster.away = False

    async def call(self, caller, name, carry_out, patience):
        """Carry something out at a replica; None where the request or the answer got lost."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.random.uniform(0.001, 0.02))
        one = self.replicas.get(name)
        if one is None or not one.up or not self.reaches(caller, name):
            refused = one is not None and not one.up and name not in self.dead_nodes
            await asyncio.sleep(0.001 if refused else patience)
            return None
        answer = carry_out(one, loop.time())
        await asyncio.sleep(self.random.uniform(0.001, 0.02))
        if not self.reaches(name, caller):
            await asyncio.sleep(patience)
            return None
        return answer

    # ---------------------------------------------------------------- replicas at work

    async def _ship(self):
        while True:
            await asyncio.sleep(0.02)
            now = asyncio.get_running_loop().time()
            for one in list(self.replicas.values()):
                if one.up and one.office is not None:
                    self._ship_from(one, now)

    def _ship_from(self, one, now):
        office, sent = one.office, one.log
        for peer in (*office.configuration.members, *office.learners):
            other = self.replicas.get(peer.name)
            if other is None or other is one or not other.up or other.disk != peer.disk:
                continue
            if not self.reaches(one.name, other.name):
                continue
            taken = other.append(office.configuration.epoch, sent, one.committed, now)
            if taken and self.reaches(other.name, one.name):
                office.verified[peer.disk] = len(sent)
                office.answered[peer.disk] = now
        alive = [
            m
            for m in office.configuration.members
            if m.disk == one.disk or now - office.answered.get(m.disk, float("-inf")) < 0.1
        ]
        if len(alive) >= office.configuration.write_quorum:
            office.quorum_at = now
        one.advance()

    async def _write(self):
        """Clients that write all the time; what was acknowledged is kept, and how long nothing was."""
        count = 0
        waiting = {}
        while True:
            await asyncio.sleep(0.05)
            now = asyncio.get_running_loop().time()
            for one in list(self.replicas.values()):
                shard = one.name.rpartition("-")[0]
                if not one.up or one.office is None or not one.office.learned:
                    continue
                for _, seq, log in [w for w in waiting.pop(one.name, []) if one.committed >= w[1]]:
                    if len(one.log) >= seq and one.log[seq - 1] == log:
                        self._acknowledge(shard, seq, log, now)
                if one.promised == one.office.configuration.epoch and not one.full:
                    count += 1
                    record = replica.Record(one.office.configuration.epoch, f"w{count}")
                    one.log.append(record)
                    waiting[one.name] = [(count, len(one.log), record)]

    def _acknowledge(self, shard, seq, record, now):
        told = self.acknowledged.setdefault(shard, {})
        assert told.setdefault(seq, record) == record, "two writes were acknowledged at one place"
        before = self.last_ack.get(shard, now)
        self.gaps.setdefault(shard, []).append((before, now - before))
        self.last_ack[shard] = now

    # ---------------------------------------------------------------- Kubernetes

    async def _kubernetes(self):
        """Run the pods of StatefulSets; say that Deployments are ready."""
        while True:
            await asyncio.sleep(0.1)
            now = asyncio.get_running_loop().time()
            changed = False
            for workload in list(self.cluster._objects.values()):
                if workload["kind"] == "Deployment":
                    changed |= self._publish(workload, workload["spec"].get("replicas", 1), "")
                if workload["kind"] == "StatefulSet":
                    changed |= self._run_pods(workload, now)
            if changed:
                self._wake()

    def _run_pods(self, workload, now):
        name, count = workload["metadata"]["name"], workload["spec"]["replicas"]
        revision = self._revision(workload)
        wanted = [f"{name}-{n}" for n in range(count)]
        mine = [one for one in self.replicas if one.rpartition("-")[0] == name]
        changed = False
        for pod in {*wanted, *mine}:
            changed |= self._run_pod(pod, workload, revision if pod in wanted else None, now)
        ready = sum(_is_ready(self.replicas[pod]) for pod in wanted if pod in self.replicas)
        return self._publish(workload, ready, revision) or changed

    def _revision(self, workload):
        key = (workload["metadata"]["name"], workload["metadata"]["generation"])
        if key not in self.revisions:
            self.revisions[key] = str(hash(str(workload["spec"]["template"])))
        return self.revisions[key]

    def _run_pod(self, name, workload, revision, now):
        one = self.replicas.setdefault(name, replica.Replica(name))
        pod = self.cluster.find("Pod", name)
        if name in self.dead_nodes:
            return False
        if pod is None and revision is not None:
            self._create(name, workload, revision)
            self.ending[name] = now + POD_SECONDS
            return True
        if pod is None:
            return False
        if revision is None:
            self.cluster.terminate(name)
        if pod["metadata"].get("deletionTimestamp"):
            return self._end(one, now)
        if not one.up and now >= self.ending.setdefault(name, now + POD_SECONDS):
            one.start(now)
            self.ending.pop(name)
        return self._tell(name, ready=_is_ready(one))

    def _end(self, one, now):
        """A primary that is told to stop serves until its place is taken, others go at once."""
        if one.up and not one.leaving:
            one.leaving, self.ending[one.name] = True, now + 60
        if one.up and one.office is not None and one.office.learned and now < self.ending[one.name]:
            lead = one.office.configuration
            if len(lead.members) > 1 and one.promised == lead.epoch:
                return False
        one.crash()
        self.ending.pop(one.name, None)
        self.cluster.remove("Pod", one.name)
        return True

    def _create(self, name, workload, revision):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        metadata = {
            "name": name, "namespace": KEY.namespace, "uid": f"{name}-{self.random.random()}",
            "labels": labels | {"controller-revision-hash": revision},
        }  # fmt: skip
        self.cluster._objects["Pod", KEY.namespace, name] = {
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {},
        }  # fmt: skip

    def _tell(self, name, ready):
        pod = self.cluster.find("Pod", name)
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
        self.cluster.set_status(workload, status)
        return True

    # ---------------------------------------------------------------- what tests do and ask

    async def wait_until(self, reached, seconds=120):
        end = asyncio.get_running_loop().time() + seconds
        while not reached():
            assert asyncio.get_running_loop().time() < end, f"not reached in {seconds} s: {self.tell()}"
            for task in self.tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.05)

    async def settle(self, seconds=120):
        """Return once every shard has the members that the spec asks for and takes writes."""
        await self.wait_until(self.is_whole, seconds)

    def is_whole(self):
        for shard in range(self.spec["shards"]):
            name = f"products-g1-s{shard}"
            found = self.configuration(name)
            wanted = [f"{name}-{n}" for n in range(self.spec["replicas"])]
            if found is None or sorted(one["name"] for one in found["members"]) != wanted:
                return False
            if any(self.replicas[one["name"]].disk != one["disk"] for one in found["members"]):
                return False
            lead = self.replicas[found["primary"]]
            if not lead.up or lead.office is None or lead.state(0).role != "Primary":
                return False
            if any(not self.replicas[pod].up for pod in wanted):
                return False
            if any(self.replicas[pod].promised != found["epoch"] for pod in wanted):
                return False
        return True

    def configuration(self, shard="products-g1-s0"):
        found = self.cluster.find("VectorShard", shard)
        return (found or {}).get("status", {}).get("configuration")

    def primary(self, shard="products-g1-s0"):
        return self.replicas[self.configuration(shard)["primary"]]

    def conditions(self, shard="products-g1-s0"):
        found = self.cluster.find("VectorShard", shard)["status"]["conditions"]
        return {one["type"]: one for one in found if one["status"] == "True"}

    def index_conditions(self):
        found = self.cluster.find("VectorIndex", KEY.name).get("status", {}).get("conditions", ())
        return {one["type"]: one for one in found if one["status"] == "True"}

    def kill_node(self, name):
        """The machine of a replica stops: nothing answers, and Kubernetes has not noticed yet."""
        self.dead_nodes.add(name)
        self.replicas[name].crash()

    def start_node(self, name):
        self.dead_nodes.discard(name)

    async def writes_again(self, shard="products-g1-s0", seconds=120):
        """Return the seconds until the next write is acknowledged."""
        began = asyncio.get_running_loop().time()
        await self.wait_until(lambda: self.last_ack.get(shard, 0) > began, seconds)
        return self.last_ack[shard] - began

    def longest_gap(self, since, shard="products-g1-s0"):
        return max((gap for begin, gap in self.gaps.get(shard, ()) if begin + gap >= since), default=0.0)

    def check(self):
        """Every acknowledged write is in the log of its shard's primary, in its place."""
        for shard, told in self.acknowledged.items():
            lead = self.primary(shard)
            for seq, record in told.items():
                assert len(lead.log) >= seq, f"{record} was acknowledged and is gone: {self.tell()}"
                assert lead.log[seq - 1] == record, f"{record} was acknowledged and overwritten"

    def tell(self):
        return {
            name: (one.up, one.promised, one.last, one._role().value, one.disk)
            for name, one in self.replicas.items()
        } | {"configuration": self.configuration()}


def _is_ready(one):
    return one.up and not one.damaged
