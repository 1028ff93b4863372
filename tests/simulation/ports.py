"""The operator's ports, as they are in a simulation: every call goes through its network."""

import asyncio
import datetime

from simulation import loop, register, values

from vectorfleet_operator import errors, ports, replication

_API_SECONDS, _STATE_SECONDS, _REPORT_SECONDS, _CALL_SECONDS = 3.0, 1.0, 1.0, 3.0
_START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Clock:
    """Simulated time."""

    def __init__(self, running):
        self._loop = running

    def now(self):
        return _START + datetime.timedelta(seconds=self.monotonic())

    def monotonic(self):
        return self._loop.time()


class Caller:
    """Asks over the network, for one operator."""

    def __init__(self, operator):
        self._operator, self._world = operator, operator.world

    async def ask(self, name, deliver, seconds):
        """Ask "api" or a replica; returns None where no answer comes in time."""
        operator = self._operator
        waiting = operator.loop.create_future()

        def answered(reply):
            if not waiting.done():
                waiting.set_result(reply)

        self._world.network.ask((operator.name, name), deliver, answered, seconds * loop.SECOND)
        return await waiting

    async def step(self, name, deliver, seconds):
        """Ask as a step of a change, before or after which the operator may die, or take its time."""
        reply = await self.ask(name, deliver, seconds)
        rng, operator = self._world.rng, self._operator
        if rng.random() < operator.crashes:
            operator.crash()
            await operator.loop.create_future()  # nothing more happens here
        pause = rng.choice((0, 0, 5, 30))
        if pause:
            await asyncio.sleep(pause / loop.SECOND)
        return reply


class Cluster(Caller):
    """`ports.Cluster`, as far as replicas are concerned."""

    async def read(self):
        """Return the index, and all objects that belong to it."""
        return _known(await self.ask("api", self._world.register.read, _API_SECONDS))

    async def get(self, kind, namespace, name):
        assert (kind, name) == (ports.VECTOR_SHARD, register.SHARD)
        return _known(await self.ask("api", self._world.register.find, _API_SECONDS))

    async def apply_status(self, manifest):
        version = manifest["metadata"].get("resourceVersion")

        def deliver(answer):
            self._world.register.write(version, manifest["status"], answer)

        return _known(await self.step("api", deliver, _API_SECONDS))

    async def delete(self, manifest, *, orphan=False):
        metadata = manifest["metadata"]

        def deliver(answer):
            self._world.pods.delete(metadata["name"], metadata["uid"], answer)

        _known(await self.step("api", deliver, _API_SECONDS))

    async def emit(self, event):
        """Nobody reads it."""


class Shards(Caller):
    """`ports.Shards`."""

    async def state(self, address, token):
        node = self._node(address)
        return await self.ask(node.name, self._to(node, node.obeying.report), _STATE_SECONDS)

    async def report(self, address, token):
        node = self._node(address)
        state = await self.ask(node.name, self._to(node, node.obeying.report), _REPORT_SECONDS)
        if not isinstance(state, replication.ReplicaState):
            return None
        return ports.ShardReport(
            pod=node.name,
            epoch=state.last.epoch,
            seq=state.last.seq,
            rows=0,
            unindexed_rows=0,
            segments=0,
            memory_bytes=0,
            disk_bytes=0,
            building=False,
            version="1",
            problem="",
            replica=state,
        )

    async def seal(self, address, token, epoch, disk, *, begins):
        return await self._step(address, "seal", disk, epoch, begins)

    async def lead(self, address, token, configuration, seconds):
        wanted = values.to_core(configuration)
        return await self._step(address, "lead", wanted, seconds, more=seconds)

    async def configure(self, address, token, configuration, learners):
        ones = tuple(values.to_member(one) for one in learners)
        return await self._step(address, "configure", values.to_core(configuration), ones)

    async def rebuild(self, address, token, disk, epoch):
        return await self._step(address, "rebuild", disk, epoch)

    async def _step(self, address, method, *args, more=0.0):
        node = self._node(address)
        return await self.step(
            node.name, self._to(node, getattr(node.obeying, method), *args), _CALL_SECONDS + more
        )

    def _node(self, address):
        return self._world.nodes[address.partition(".")[0]]

    def _to(self, node, method, *args):
        return lambda answer: node.enter(None, method, *args, answer)


def _known(reply):
    if not reply:
        raise errors.Transient("the API server did not answer, or somebody else was faster")
    return reply
