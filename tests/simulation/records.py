"""What a simulated log holds, and what a simulated disk keeps through a crash."""

import dataclasses
from typing import Any, NamedTuple

from vectorfleet_shardnode.replication import history, messages


class Record(NamedTuple):
    """One write: `key` becomes `value`; a start record has no write id."""

    epoch: int
    seq: int
    write_id: str = ""
    key: str = ""
    value: Any = None


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Sealed segments: rows up to a place, and the ids of the writes that made them."""

    place: history.Position = history.NOTHING
    rows: dict[str, Any] = dataclasses.field(default_factory=dict)
    ids: dict[str, int] = dataclasses.field(default_factory=dict)


class Disk:
    """What one volume keeps: a log whose end may not be fsynced, replica.json, a snapshot."""

    def __init__(self, identity):
        self.identity = identity
        self.stored = messages.Stored()
        self.snapshot = Snapshot()
        self.base = history.NOTHING
        self.records = []
        self.durable = 0  # the seq up to which the log is fsynced
        self.mark = 0  # the commit index that the last mark carries
        self.cuts = 0  # what was under way before the last cut is void
        self.damaged = False  # no process can read it
        self.returned = False  # it was given up when a loss was accepted, and is there again

    @property
    def last_seq(self):
        """The seq of the newest record, fsynced or not."""
        return self.base.seq + len(self.records)

    def record(self, seq):
        """Return a record."""
        return self.records[seq - self.base.seq - 1]

    def between(self, first, last):
        """Return the records `first` to `last`, as far as they are there."""
        return self.records[max(first - self.base.seq - 1, 0) : max(last - self.base.seq, 0)]

    def history(self):
        """Return the log's epochs."""
        made = history.starting(self.base)
        for record in self.records:
            made = made.extended(record.epoch, record.seq)
        return made

    def cut(self, after):
        """Remove what is behind a record, durably."""
        gone = self.records[after - self.base.seq :]
        del self.records[after - self.base.seq :]
        self.durable = min(self.durable, after)
        self.cuts += 1
        return gone

    def trim(self, base):
        """Give up the records up to `base`, which the snapshot covers."""
        epoch = self.record(base).epoch
        del self.records[: base - self.base.seq]
        self.base = history.Position(epoch, base)

    def install(self, snapshot):
        """Put a copied snapshot in the place of everything."""
        self.snapshot, self.base, self.records = snapshot, snapshot.place, []
        self.durable = snapshot.place.seq
        self.cuts += 1

    def lose_behind(self, rng):
        """Lose what stands behind a damaged record, acknowledged or not."""
        self.cut(rng.randint(self.base.seq, self.last_seq))
        self.damaged = False

    def lose_power(self, rng):
        """Keep what was fsynced, and of the rest nothing, all, or the beginning."""
        kept = rng.choice((self.durable, self.last_seq, rng.randint(self.durable, self.last_seq)))
        kept = max(kept, self.base.seq)
        del self.records[kept - self.base.seq :]
        self.durable = kept
