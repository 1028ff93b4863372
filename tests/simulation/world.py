"""One schedule: replicas, operators and clients, what befalls them, and how all of it ends."""

import random

from simulation import (
    clients,
    clock,
    network,
    node,
    operating,
    person,
    plan,
    pods,
    promises,
    register,
    troubles,
)

from vectorfleet_operator.desired import names

HEALED = 3000  # within which everything must be well again after the last trouble


class World:
    """What there is in one schedule.

    Args:
        seed: of every draw.
        planned: sizes, speeds and troubles; drawn from the seed where it is None.
        dropped: names of rules that are not kept, to show that this is noticed.
    """

    def __init__(self, seed, planned=None, dropped=frozenset()):
        self.seed, self.dropped = seed, dropped
        self.rng = random.Random(seed)
        self.plan = planned or plan.drawn(self.rng)
        self.clock = clock.Clock()
        self.promises = promises.Promises()
        self.histories = clients.Histories()
        self.network = network.Network(self.clock, self.rng, self.plan)
        self.register = register.Register(self)
        self.wanted = [names.replica(register.KEY.name, 0, n) for n in range(self.plan.replicas)]
        self.replicas_wanted = self.plan.members  # as the spec has it
        self.handover = ""  # who is to lead, as a person wishes
        self.person = person.Person(self)
        self.pods = pods.Pods(self)
        self.calm = False
        self.nodes = {name: node.Node(self, name) for name in self.wanted}
        for one in self.nodes.values():
            one.start()
        named = [f"operator{n}" for n in range(self.plan.operators)]
        self.operators = {name: operating.Operator(self, name) for name in named}
        self.clients = [clients.Client(self, f"client{n}") for n in range(self.plan.clients)]

    # ------------------------------------------------------------------------------------ what happens

    @property
    def members_wanted(self):
        """The names of those that the spec asks for."""
        return set(self.wanted[: self.replicas_wanted])

    def primary(self):
        """Return the replica that takes writes under the greatest epoch, None where none does."""
        able = [one for one in self.nodes.values() if one.core is not None and one.core.acknowledges]
        return max(able, key=lambda one: one.core.term.epoch, default=None)

    def crash(self, one):
        """Kill a replica; it comes back later."""
        one.crash()
        self.restart_later(one)

    def restart_later(self, one):
        """Let a replica come back."""
        self.clock.after(self.rng.choice((5, 40, 150)) * self.rng.random(), self._restart, one)

    def _restart(self, one):
        if one.core is None and self.pods.may_run(one.name):
            one.start()

    def trouble(self):
        """Let something happen, and the next thing later."""
        if self.calm or not self.plan.trouble:
            return
        kind = self.rng.choices(list(self.plan.trouble), self.plan.trouble.values())[0]
        (troubles.KINDS | troubles.RARE)[kind](self)
        self.clock.after(self.plan.pause * 2 * self.rng.random(), self.trouble)

    # --------------------------------------------------------------------------------------- the whole

    def run(self):
        """Play the schedule to its end.

        Raises:
            BrokenPromiseError: something was promised and not kept.
            ProtocolError: the core found itself in a state that can't be.
        """
        if self.plan.begins_well:
            self.begin()
        for one in self.operators.values():
            one.crashes = self.plan.operator_crashes
        self.register.conflicts = self.plan.conflicts
        self.network.worsen()
        self.trouble()
        self.clock.run(self.clock.now + self.plan.length)
        self.heal()
        self.settle()
        self.histories.check()

    def begin(self):
        """Wait for the first configuration."""
        while self.register.status.configuration is None or self.primary() is None:
            self.clock.run(self.clock.now + 10)

    def heal(self):
        """End all trouble."""
        self.calm = True
        # What a slow disk has begun lasts as long as it does: the trouble ends with it.
        self.healed_at = max(self.clock.now, *(one.syncs_until for one in self.nodes.values()))
        self.network.heal()
        self.register.conflicts = 0.0
        first, *others = self.operators.values()
        first.crashes = 0.0
        first.thaw()
        for one in others:
            one.stop()  # two may hinder each other for ever, so only the holder of the Lease tries
        for one in self.nodes.values():
            one.fuse, one.slow_disk = None, 1.0
            if one.frozen:
                one.thaw()
            self._restart(one)

    def settle(self):
        """Wait until writes are acknowledged again, and all members are equal."""
        before = self.promises.acknowledged
        self._until(lambda: self.promises.acknowledged > before + 3, "no write is acknowledged")
        for one in self.clients:
            one.stop()
        self._until(self.is_settled, "the members do not become equal")

    def _until(self, done, otherwise):
        until = max(self.clock.now, self.healed_at) + HEALED
        while self.clock.now < until:
            self.clock.run(self.clock.now + 25)
            if done():
                return
        raise promises.BrokenPromiseError(f"{otherwise} within {HEALED}: {self.describe()}")

    def is_settled(self):
        """Tell whether all members are those that are wanted, and have all rows."""
        current = self.register.status.configuration
        last, primary = len(self.promises.log), self.primary()
        if primary is None or current is None or {one.name for one in current.members} != self.members_wanted:
            return False
        ones = [self.nodes[member.name] for member in current.members]
        return all(
            one.core is not None
            and one.disk.identity == member.disk
            and one.core.committed == last == primary.disk.last_seq
            and one.rows == ones[0].rows
            for one, member in zip(ones, current.members, strict=True)
        )

    def describe(self):
        """Say where everything stands."""
        lines = [f"{self.register.status}, {len(self.promises.log)} committed, wanted {self.members_wanted}"]
        for one in self.nodes.values():
            core = one.core
            state = core and (core.stored, core.history, core.committed, core.term, core.copying)
            lines.append(f"{one.disk.identity}: {state}")
        return "\n".join(lines)


def play(seed, planned=None, dropped=frozenset()):
    """Play one schedule; returns the world as it ended."""
    made = World(seed, planned, dropped)
    made.run()
    return made
