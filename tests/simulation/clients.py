"""Clients of the simulated shard: they write, send again with the same id, read, and note what they saw."""

import collections
import math

from simulation import clock, linearizability, promises

PAUSE = 3


class Histories:
    """What all clients saw, by key."""

    def __init__(self):
        self.by_key = collections.defaultdict(list)
        self.answered = collections.Counter()
        self.era = 0  # grows when all begins anew
        self._first = {}  # key -> what it holds at first

    def check(self):
        """Tell whether every key's history is that of a register that does one thing at a time."""
        for key, operations in self.by_key.items():
            if not linearizability.is_linearizable(operations, self._first.get(key)):
                lines = "\n".join(map(str, sorted(operations, key=lambda one: one[:2])))
                raise promises.BrokenPromiseError(f"the history of {key} is not linearizable:\n{lines}")

    def begin_anew(self, value):
        """Check what there is, and forget it: a loss was accepted, and each key holds `value(key)` now.

        Writes of before may still come to be, since the survivor may hold them uncommitted, or never.
        """
        self.check()
        self.era += 1
        for key, operations in self.by_key.items():
            self._first[key] = value(key)
            writes = [one._replace(end=math.inf) for one in operations if one.is_write]
            self.by_key[key] = [one for one in writes if one.value != self._first[key]]


class Client:
    """One client, with one request under way at a time."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.rng = world.rng
        self.primary = self.rng.choice(world.wanted)
        self.position = 0  # of its newest acknowledged write
        self.count = 0
        self._task = clock.Task(self._live())

    def stop(self):
        """Ask nothing more."""
        self._task.kill()

    def _sleep(self, delay):
        return lambda resume: self.world.clock.after(delay, resume)

    def _ask(self, name, method, *args):
        node = self.world.nodes[name]
        method = getattr(node.serving, method)

        def deliver(answer):
            node.enter(None, method, *args, answer)

        patience = self.world.plan.patience
        return lambda resume: self.world.network.ask((self.name, name), deliver, resume, patience)

    def _live(self):
        while True:
            yield self._sleep(PAUSE * 2 * self.rng.random())
            key = f"k{self.rng.randrange(self.world.plan.keys)}"
            kind = self.rng.random()
            if kind < 0.5:
                yield from self.write(key)
            elif kind < 0.85:
                yield from self.strong_read(key)
            else:
                yield from self.read(key, self.position if kind < 0.95 else 0)

    def _until_done(self, method, *args):
        """Ask primaries until one says that it is done; None after some tries."""
        pause = PAUSE
        for _ in range(10):
            reply = yield self._ask(self.primary, method, *args)
            what, value = reply or ("silent", None)
            if what == "done":
                return (value,)
            others = [name for name in self.world.wanted if name != self.primary] or [self.primary]
            hint = value if what == "refused" and value in self.world.wanted else None
            if hint is not None and hint != self.primary:
                self.primary = hint
            elif what != "unknown" and self.rng.random() < 0.7:
                self.primary = self.rng.choice(others)
            pause = min(8, pause * 1.5)
            yield self._sleep(pause * self.rng.random())
        return None

    def write(self, key):
        """Write a value that nobody else writes; the same write may be sent many times.

        Some are deletions: they leave who deleted, so that readers can tell one deletion from another.
        """
        self.count += 1
        write_id = f"{self.name}.{self.count}"
        value = ("deleted by " if self.rng.random() < 0.2 else "") + write_id
        began, at = self.world.clock.now, len(self.world.histories.by_key[key])
        era = self.world.histories.era
        self._note(key, linearizability.Operation(began, math.inf, True, value))
        done = yield from self._until_done("write", (write_id, key, value))
        if done is not None and era == self.world.histories.era:
            self.position = max(self.position, done[0])
            self.world.histories.answered["write"] += 1
            ended = linearizability.Operation(began, self.world.clock.now, True, value)
            self.world.histories.by_key[key][at] = ended

    def strong_read(self, key):
        """Read what is newest."""
        began, era = self.world.clock.now, self.world.histories.era
        done = yield from self._until_done("strong_read", key)
        if done is not None and era == self.world.histories.era:
            (seq, value), ended = done[0], self.world.clock.now
            self.world.promises.shows("a strong read", key, seq, value)
            self.world.histories.answered["strong read"] += 1
            self._note(key, linearizability.Operation(began, ended, False, value))

    def read(self, key, at_least):
        """Read from any replica, at least what this client has written itself."""
        era = self.world.histories.era
        reply = yield self._ask(self.rng.choice(self.world.wanted), "read", key, at_least)
        if reply is not None and era == self.world.histories.era:
            seq, value = reply[1]
            if seq < at_least:
                raise promises.BrokenPromiseError(f"a read shows {seq}, and demanded {at_least}")
            self.world.promises.shows("a read", key, seq, value)
            self.world.histories.answered["read"] += 1

    def _note(self, key, operation):
        self.world.histories.by_key[key].append(operation)
