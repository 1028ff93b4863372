"""A fold over the rows of a shard: equal on all replicas at the same seq, however their segments look.

It is computed of the state after every so many records, and of one that stays for a while: where writes rest,
all replicas come to the same one, so that also those of few records, or that have just started, are compared.
In a thread of its own, at most one at a time: one that is due meanwhile is left out. Replicas compare those
that they both have.
"""

import collections
import dataclasses
import threading
import time

import numpy as np

from .arrays import Hashes
from .snapshot import Snapshot

KEPT = 8
_COST = 100
"""A state has to rest so many times as long as the last digest took: that is a percent of a core at most."""


@dataclasses.dataclass(frozen=True)
class Digest:
    """Of all rows that live after the record (epoch, seq): their count, and a sum over (key, seq) of each.

    The sum is modulo 2^64, of a mix of the key's hash and the seq of the write that made the row.
    """

    epoch: int
    seq: int
    rows: int
    count: int


class Digests:
    """The newest digests of one shard.

    Args:
        every: records; 0 for no digests at all.
        rest_seconds: for how long a state has to stay to have one.
    """

    def __init__(self, every: int, rest_seconds: float) -> None:
        self._every, self._rest_seconds = every, rest_seconds
        self._kept: collections.deque[Digest] = collections.deque(maxlen=KEPT)
        self._busy = threading.Lock()
        self._cost = 0.0  # seconds that the last one took
        self._rests = (-1, 0.0)  # the seq that was last looked at, and since when it is the newest

    @property
    def newest(self) -> list[Digest]:
        """At most 8, the newest last."""
        return list(self._kept)

    def offer(self, state: Snapshot) -> None:
        """Have a state's digest computed if its seq is one that has one; returns at once."""
        if self._every and state.seq % self._every == 0:
            self._begin(state)

    def look(self, state: Snapshot, now: float) -> None:
        """Have the newest state's digest computed if it has rested for long enough; returns at once.

        Args:
            state: to be looked at again and again, by one thread.
            now: seconds of a clock that nobody sets.
        """
        seq, since = self._rests
        if state.seq != seq:
            self._rests = (state.seq, now)
        elif self._every and state.seq and now - since >= max(self._rest_seconds, _COST * self._cost):
            self._begin(state)

    def _begin(self, state: Snapshot) -> None:
        """Compute a digest that is not there yet, unless another one is under way."""
        known = any((one.epoch, one.seq) == (state.epoch, state.seq) for one in self.newest)
        if not known and self._busy.acquire(blocking=False):
            threading.Thread(target=self._compute, args=(state,), name="digest", daemon=True).start()

    def wait(self) -> None:
        """Wait for the one that is under way."""
        with self._busy:
            return

    def _compute(self, state: Snapshot) -> None:
        began = time.monotonic()
        try:
            self._kept.append(of(state))
        finally:
            self._cost = time.monotonic() - began
            self._busy.release()


def of(state: Snapshot) -> Digest:
    """Return the digest of a state."""
    rows = 0
    for view in state.parts:
        _, hashes, seqs = view.versions()
        rows += int(_mixed(hashes ^ _mixed(seqs)).sum(dtype=np.uint64))
    return Digest(state.epoch, state.seq, rows % (1 << 64), state.live_rows)


def _mixed(values: Hashes) -> Hashes:
    """Spread each value over 64 bits: splitmix64's finaliser."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed
