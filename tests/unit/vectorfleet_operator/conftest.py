"""A world for the operator's tests: the memory cluster, a clock that stands still, secrets that count up."""

import copy
import dataclasses
import datetime

import pytest

from vectorfleet_operator import lookout, ports, reconcile
from vectorfleet_operator.adapters import memory

KEY = ports.Key("shop", "products")
IMAGE = "vectorfleet/data-plane:0.1.0"
MANIFEST = {
    "apiVersion": "vectorfleet.io/v1alpha1",
    "kind": "VectorIndex",
    "metadata": {"name": "products", "namespace": "shop"},
    "spec": {
        "model": {"name": "all-MiniLM-L6-v2", "dimensions": 384},
        "shards": 2,
        "gateway": {"replicas": 2},
    },
}


class StandingClock:
    """A date that moves only when a test moves it; spans of time are always long."""

    def __init__(self):
        self.moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self.seconds = 0.0

    def now(self):
        return self.moment

    def monotonic(self):
        self.seconds += 10
        return self.seconds


class CountingEntropy:
    """Secrets that tell which draw they are."""

    def __init__(self):
        self.draws = 0

    def secret(self):
        self.draws += 1
        return f"secret-{self.draws}"


class TellingShards:
    """Shards that report what the test put in; None where it put nothing in."""

    def __init__(self):
        self.reports = {}
        self.asked = []

    async def state(self, address, token):
        told = await self.report(address, token)
        return told.replica if told is not None else None

    async def report(self, address, token):
        self.asked.append((address, token))
        return self.reports.get(address.partition(".")[0])

    def tell(self, pod, **fields):
        told = {
            "pod": pod, "epoch": 1, "seq": 7, "rows": 100, "unindexed_rows": 0, "segments": 1,
            "memory_bytes": 1, "disk_bytes": 1, "building": False, "version": "0.1.0", "problem": "",
        } | fields  # fmt: skip
        self.reports[pod] = ports.ShardReport(**told)


@dataclasses.dataclass
class World:
    """Everything around one index, and short words for what tests do with it."""

    cluster: memory.MemoryCluster = dataclasses.field(default_factory=memory.MemoryCluster)
    shards: TellingShards = dataclasses.field(default_factory=TellingShards)
    clock: StandingClock = dataclasses.field(default_factory=StandingClock)
    entropy: CountingEntropy = dataclasses.field(default_factory=CountingEntropy)
    key: ports.Key = KEY
    watch: lookout.Lookout | None = None

    @property
    def ports(self):
        return ports.Ports(self.cluster, self.shards, self.clock, self.entropy)

    async def submit(self, **spec):
        """Write the index's manifest with some fields of its spec replaced."""
        manifest = copy.deepcopy(MANIFEST)
        manifest["spec"] |= spec
        await self.cluster.apply(manifest)

    async def take_pass(self):
        self.watch = self.watch or lookout.Lookout(self.shards, self.clock)
        return await reconcile.reconcile(reconcile.Operator(self.ports, self.watch, IMAGE), self.key)

    async def settle(self):
        """Pass and let pods become ready until nothing goes on any more."""
        for _ in range(10):
            outcome = await self.take_pass()
            self.start_pods()
            if outcome.requeue_after == reconcile.SETTLED_SECONDS:
                return outcome
        raise AssertionError(f"did not settle: {outcome}")

    def start_pods(self, *names):
        """Make the pods of the named workloads ready; of all where none is named."""
        for workload in self.cluster.objects():
            named = not names or workload["metadata"]["name"] in names
            if named and workload["kind"] in {"StatefulSet", "Deployment"}:
                self.set_ready(workload, workload["spec"].get("replicas", 1))

    def set_ready(self, workload, count):
        wanted = workload["spec"].get("replicas", 1)
        status = {
            "observedGeneration": workload["metadata"]["generation"],
            "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": count,
        }  # fmt: skip
        self.cluster.set_status(workload, status)

    async def get(self, kind, name):
        return await self.cluster.get(kind, "shop", name)

    async def conditions(self):
        index = await self.get(ports.VECTOR_INDEX, "products")
        return {one["type"]: one for one in index["status"]["conditions"]}

    def names(self):
        return {(one["kind"], one["metadata"]["name"]) for one in self.cluster.objects()}


@pytest.fixture
def world():
    """An empty cluster and everything around it."""
    return World()
