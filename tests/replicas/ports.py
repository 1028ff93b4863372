"""The operator's ports in virtual time: an API server that may be away, calls over the world's network."""

import asyncio
import datetime

from vectorfleet_operator import errors, ports, replication
from vectorfleet_operator.adapters import memory

KEY = ports.Key("shop", "products")
OPERATOR = "operator"


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
    """Return what is carried out where something is served; else there is no answer."""
    return lambda one, now: None if one.refuses else carry_out(one, now)


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
