"""A cluster in virtual time: everything around one index, a network, and what tests do and ask.

The operator is the real one, from `attend` down; only its ports lead here.
"""

import asyncio
import contextlib
import copy
import random

from replicas import kubelet, ports, traffic

from vectorfleet_operator import attend, lookout, reconcile
from vectorfleet_operator import ports as operator_ports
from vectorfleet_operator.adapters import memory

IMAGE = "vectorfleet/data-plane:0.1.0"


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
        self.cluster = ports.Cluster(self)
        self.spec = {"model": {"name": "m", "dimensions": 3}, "shards": 1, "replicas": 3} | spec
        self.tasks = set()
        self.operators = {}
        self.clients = traffic.Clients(self)
        self.boards = []

    # ---------------------------------------------------------------- life

    @contextlib.asynccontextmanager
    async def living(self, operators=1, writers=True):
        await self.submit()
        for number in range(operators):
            self.start_operator(f"{ports.OPERATOR}{number}" if number else ports.OPERATOR)
        self._go(kubelet.Kubelet(self).run())
        self._go(traffic.Shipping(self).run())
        if writers:
            self._go(self.clients.run())
        try:
            yield self
        finally:
            for task in (*self.tasks, *self.operators.values()):
                task.cancel()
            done = await asyncio.gather(*self.tasks, *self.operators.values(), return_exceptions=True)
            faults = [one for one in done if isinstance(one, Exception)]
            if faults:
                raise faults[0]

    def start_operator(self, name=ports.OPERATOR):
        clock, shards = ports.Clock(), ports.Shards(self, name)
        given = operator_ports.Ports(self.cluster, shards, clock, ports.Entropy())
        operator = reconcile.Operator(given, lookout.Lookout(shards, clock), IMAGE)
        board = attend.Board()
        self.boards.append(board)
        self.operators[name] = asyncio.create_task(
            attend.attend(ports.KEY, attend.build_attendant(operator), board)
        )

    async def kill_operator(self, name=ports.OPERATOR):
        task = self.operators.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def submit(self, **spec):
        self.spec |= spec
        manifest = {
            "apiVersion": "vectorfleet.io/v1alpha1", "kind": "VectorIndex",
            "metadata": {"name": ports.KEY.name, "namespace": ports.KEY.namespace},
            "spec": copy.deepcopy(self.spec),
        }  # fmt: skip
        await memory.MemoryCluster.apply(self.cluster, manifest)
        self.wake()

    def _go(self, coroutine):
        self.tasks.add(asyncio.create_task(coroutine))

    def wake(self):
        for board in self.boards:
            board.wake(ports.KEY)

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
        found = self.cluster.find("VectorIndex", ports.KEY.name).get("status", {}).get("conditions", ())
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
        await self.wait_until(lambda: self.clients.last_ack.get(shard, 0) > began, seconds)
        return self.clients.last_ack[shard] - began

    def longest_gap(self, since, shard="products-g1-s0"):
        return self.clients.longest_gap(since, shard)

    def check(self):
        """Every acknowledged write is in the log of its shard's primary, in its place."""
        for shard, told in self.clients.acknowledged.items():
            lead = self.primary(shard)
            for seq, record in told.items():
                assert len(lead.log) >= seq, f"{record} was acknowledged and is gone: {self.tell()}"
                assert lead.log[seq - 1] == record, f"{record} was acknowledged and overwritten"

    def tell(self):
        return {
            name: (one.up, one.promised, one.last, one._role().value, one.disk)
            for name, one in self.replicas.items()
        } | {"configuration": self.configuration()}
