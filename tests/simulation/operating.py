"""The operator's process in a simulation: the product's own code from a look at the replicas on.

`tend` looks, decides (`plan/replicas`), and goes through the steps of a change (`change`, `register`); what
else a pass does, which brings forth StatefulSets and the like, is left out.
"""

import asyncio
import contextlib
import logging

from simulation import loop, ports, register

from vectorfleet_operator import errors, lookout, tend
from vectorfleet_operator import ports as ports_
from vectorfleet_operator.plan import observed

logging.getLogger("vectorfleet_operator").setLevel(logging.CRITICAL)  # failures are what it is here for


class Lookout(lookout.Lookout):
    """One that asks for no reports: they are for people."""

    async def survey(self, key):
        """Return nothing."""
        return {}


class Hasty(Lookout):
    """One that never rests between changes: how long it does is no part of what is promised."""

    def note(self, key, number, *, success, planned):
        """Remember nothing."""


class Operator:
    """One process of the operator, which starts anew when it has died."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.crashes = 0.0  # how likely it is to die at each step
        self._stopped = False
        self._run()

    def _run(self):
        self.loop = loop.Loop(self.world.clock)
        self.cluster, shards, clock = ports.Cluster(self), ports.Shards(self), ports.Clock(self.loop)
        kind = Hasty if self.world.plan.hasty else Lookout
        self._watch = kind(shards, clock)
        self._given = ports_.Ports(self.cluster, shards, clock, entropy=None)
        self.loop.live(self._live())

    async def _live(self):
        rng, pause = self.world.rng, self.world.plan.poll / loop.SECOND
        await asyncio.sleep(pause * rng.random())
        while True:
            with contextlib.suppress(errors.OperatorError):
                await self._pass()
            await asyncio.sleep(pause * (0.5 + rng.random()))

    async def _pass(self):
        (manifest, index), objects = await self.cluster.read()
        seen = observed.Observed(register.OWNER["uid"], objects)
        await tend.tend(self._given, self._watch, index, manifest, seen)

    def stop(self):
        """End for good."""
        self._stopped = True
        self.loop.kill()

    def crash(self):
        """Die, and be started again a little later."""
        self.loop.kill()
        self.world.clock.after(
            self.world.plan.poll * (1 + 3 * self.world.rng.random()), self._start_anew, self.loop
        )

    def _start_anew(self, died):
        if self.loop is died and not self._stopped:
            self._run()

    def freeze(self):
        """Stop it, as SIGSTOP does: it goes on with what it knew."""
        self.loop.stop_for_a_while()

    def thaw(self):
        """Let it go on."""
        self.loop.go_on()
