"""What a log knows of its records without reading its files: epochs, write ids, and the newest themselves.

Pure: nothing here reads a file or takes a lock; `wal.Log` does both.
"""

import bisect
import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .. import errors
from . import log_format

WRITE_IDS = 100_000
"""How many write ids are remembered, of the newest records that have one."""


class Position(NamedTuple):
    """A place in the log. Positions compare by epoch, then seq."""

    epoch: int
    seq: int


class Write(NamedTuple):
    """What became of a write: the seq of its record, how many rows it concerned, and the record's epoch."""

    seq: int
    affected: int
    epoch: int


Known = tuple[bytes, Write]
"""A write's id, and what became of it."""


class Spans:
    """Which epoch each record is of; `before` is the position just before the first record."""

    def __init__(self, before: Position) -> None:
        self._firsts, self._epochs = [before.seq], [before.epoch]

    @property
    def before(self) -> Position:
        """The position just before the first record."""
        return Position(self._epochs[0], self._firsts[0])

    @property
    def beginnings(self) -> list[Position]:
        """The position before the first record, and the first record of each later epoch.

        Where the first record is of a later epoch than the one before it, it is among them.
        """
        return [Position(epoch, first) for first, epoch in zip(self._firsts, self._epochs, strict=True)]

    @property
    def last_epoch(self) -> int:
        """Of the newest record."""
        return self._epochs[-1]

    def note(self, seq: int, epoch: int) -> None:
        """Add a record, the next one.

        Raises:
            DataLossError: epochs never fall from one record to the next.
        """
        if epoch == self._epochs[-1]:
            return
        if epoch < self._epochs[-1]:
            raise errors.DataLossError(
                f"record {seq} is of epoch {epoch}, the one before it of epoch {self._epochs[-1]}"
            )
        self._firsts.append(seq)
        self._epochs.append(epoch)

    def epoch_at(self, seq: int) -> int | None:
        """Return the epoch of a record or of the one before the first; None before that."""
        at = bisect.bisect_right(self._firsts, seq) - 1
        return self._epochs[at] if at >= 0 else None

    def cut_after(self, seq: int) -> None:
        """Forget what stands behind a record."""
        while self._firsts[-1] > seq:
            self._firsts.pop()
            self._epochs.pop()

    def forget_before(self, first_seq: int) -> None:
        """Let the log begin with a later record."""
        epoch = self.epoch_at(first_seq - 1)
        if epoch is None:
            return
        kept = bisect.bisect_left(self._firsts, first_seq)
        self._firsts[:kept], self._epochs[:kept] = [first_seq - 1], [epoch]


class WriteIds:
    """Which write became which record; of the newest `bound` only."""

    def __init__(self, bound: int = WRITE_IDS) -> None:
        self._bound = bound
        self._found: dict[bytes, Write] = {}
        self._order: collections.deque[bytes] = collections.deque()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def full(self) -> bool:
        """Whether each one more makes the oldest one go."""
        return len(self._order) >= self._bound

    def known(self) -> Iterator[Known]:
        """Yield the writes in the order of their seqs."""
        return ((write_id, self._found[write_id]) for write_id in self._order)

    def note(self, write_id: bytes, write: Write) -> None:
        """Remember a write; seqs ascend. An id that is there already keeps its first record."""
        if not write_id or write_id in self._found:
            return
        self._found[write_id] = write
        self._order.append(write_id)
        if len(self._order) > self._bound:
            del self._found[self._order.popleft()]

    def find(self, write_id: bytes) -> Write | None:
        """Return what became of a write, None where it is not known."""
        return self._found.get(write_id)

    def cut_after(self, seq: int) -> None:
        """Forget the writes of records behind a seq."""
        while self._order and self._found[self._order[-1]].seq > seq:
            del self._found[self._order.pop()]

    def forget_before(self, first_seq: int) -> None:
        """Forget the writes of records before a seq."""
        while self._order and self._found[self._order[0]].seq < first_seq:
            del self._found[self._order.popleft()]


class Recent:
    """The newest records themselves, as many as `bound` bytes hold; none where it is 0."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._entries: collections.deque[log_format.Entry] = collections.deque()
        self._bytes = 0

    def note(self, entry: log_format.Entry) -> None:
        """Add the next record."""
        if not self.bound:
            return
        self._entries.append(entry)
        self._bytes += entry.size
        while self._bytes > self.bound:
            self._bytes -= self._entries.popleft().size

    def read(self, first_seq: int, last_seq: int, max_bytes: int) -> list[log_format.Entry]:
        """Return records from `first_seq` on, see `bounded`; none where the first is not here."""
        if not self._entries or first_seq < self._entries[0].seq:
            return []
        oldest = self._entries[0].seq
        upto = min(last_seq, self._entries[-1].seq)
        # By place: most are asked for from near the newer end, and there may be many before them.
        wanted = (self._entries[seq - oldest] for seq in range(first_seq, upto + 1))
        return bounded(wanted, max_bytes)

    def cut_after(self, seq: int) -> None:
        """Forget what stands behind a record."""
        while self._entries and self._entries[-1].seq > seq:
            self._bytes -= self._entries.pop().size


def bounded(given: Iterable[log_format.Entry], max_bytes: int) -> list[log_format.Entry]:
    """Return the first entries that come to at most so many bytes; one at least where there is any."""
    taken: list[log_format.Entry] = []
    total = 0
    for entry in given:
        total += entry.size
        if taken and total > max_bytes:
            break
        taken.append(entry)
    return taken


class Index:
    """All of it, for one log.

    Args:
        before: the position just before the log's first record.
        recent_bytes: how many bytes of records are kept in memory.
        carried: writes of records that the log does not hold and never did: they came with segments.
    """

    def __init__(self, before: Position, recent_bytes: int = 0, carried: Iterable[Known] = ()) -> None:
        self.spans = Spans(before)
        self.write_ids = WriteIds()
        self.recent = Recent(recent_bytes)
        self.last_seq = before.seq
        self._carried = WriteIds()
        for write_id, write in carried:
            self._carried.note(write_id, write)

    @property
    def carries(self) -> bool:
        """Whether writes are remembered that came with segments; until the log itself holds enough."""
        return len(self._carried) > 0

    def find_write(self, write_id: bytes) -> Write | None:
        """Return what became of a write, None where it is not known."""
        return self.write_ids.find(write_id) or self._carried.find(write_id)

    def newest_writes(self, upto: int) -> list[Known]:
        """Return the newest writes that are known, of records up to a seq; the oldest first."""
        every = itertools.chain(self._carried.known(), self.write_ids.known())
        return [known for known in every if known[1].seq <= upto][-WRITE_IDS:]

    @property
    def keeps_recent(self) -> bool:
        """Whether records themselves are kept in memory."""
        return self.recent.bound > 0

    @property
    def last(self) -> Position:
        """Where the log ends."""
        return Position(self.spans.last_epoch, self.last_seq)

    @property
    def first_seq(self) -> int:
        """The seq of the first record that the log holds, or would hold if it had any."""
        return self.spans.before.seq + 1

    def check_next(self, entries: Sequence[log_format.Entry]) -> None:
        """Find out whether records may come next.

        Raises:
            BadRequestError: one does not follow the one before it, or is of an older epoch, or is a note.
        """
        seq, epoch = self.last_seq, self.spans.last_epoch
        for entry in entries:
            if entry.seq != seq + 1 or entry.epoch < epoch or log_format.is_note(entry.op):
                raise errors.BadRequestError(
                    f"record {entry.seq} of epoch {entry.epoch} and op {entry.op} can't follow record {seq} "
                    f"of epoch {epoch}"
                )
            seq, epoch = entry.seq, entry.epoch

    def note(self, entry: log_format.Entry) -> None:
        """Add the next record."""
        self.spans.note(entry.seq, entry.epoch)
        self.note_write(entry)
        self.recent.note(entry)
        self.last_seq = entry.seq

    def note_write(self, entry: log_format.Entry) -> None:
        """Remember which write a record is of."""
        self.write_ids.note(entry.write_id, Write(entry.seq, entry.affected, entry.epoch))
        if self.write_ids.full and self.carries:
            self._carried = WriteIds()

    def cut_after(self, seq: int) -> None:
        """Forget what stands behind a record."""
        self.spans.cut_after(seq)
        self.write_ids.cut_after(seq)
        self.recent.cut_after(seq)
        self.last_seq = min(self.last_seq, seq)

    def forget_before(self, first_seq: int) -> None:
        """Let the log begin with a later record."""
        self.spans.forget_before(first_seq)
        self.write_ids.forget_before(first_seq)
