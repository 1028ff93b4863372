"""A fold over the rows of a shard: equal on all replicas at the same seq, however their segments look.

It is computed of the state after every so many records, in a thread of its own, at most one at a time: one
that is due meanwhile is left out. Replicas compare those that they both have.
"""

import collections
import dataclasses
import threading

import numpy as np

from .arrays import Hashes
from .snapshot import Snapshot

KEPT = 8


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
    """The newest digests of one shard; `every` records, 0 for none."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._kept: collections.deque[Digest] = collections.deque(maxlen=KEPT)
        self._busy = threading.Lock()

    @property
    def newest(self) -> list[Digest]:
        """At most 8, the newest last."""
        return list(self._kept)

    def offer(self, state: Snapshot) -> None:
        """Have a state's digest computed if it is due and none is under way; returns at once."""
        if not self._every or state.seq % self._every or not self._busy.acquire(blocking=False):
            return
        threading.Thread(target=self._compute, args=(state,), name="digest", daemon=True).start()

    def wait(self) -> None:
        """Wait for the one that is under way."""
        with self._busy:
            return

    def _compute(self, state: Snapshot) -> None:
        try:
            if not self._kept or self._kept[-1].seq != state.seq:
                self._kept.append(of(state))
        finally:
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
