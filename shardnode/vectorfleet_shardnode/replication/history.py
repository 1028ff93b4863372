"""Which epoch each record of a log is of: all that the protocol needs to know of a log's content. PURE.

A log is a run of seqs; its epochs never fall from one record to the next, so a few spans say it all.
"""

import dataclasses
from typing import NamedTuple


class Position(NamedTuple):
    """A place in a log, compared by epoch, then seq: the greatest last one is the most advanced log."""

    epoch: int
    seq: int


@dataclasses.dataclass(frozen=True)
class Span:
    """Records of one epoch that follow each other; `first` is the seq of the first one."""

    first: int
    epoch: int


NOTHING = Position(0, 0)


@dataclasses.dataclass(frozen=True)
class History:
    """The epochs of the records base.seq + 1 to `last`; `base` is the last record that the log gave up."""

    base: Position = NOTHING
    spans: tuple[Span, ...] = ()
    last_seq: int = 0

    @property
    def last(self) -> Position:
        """The place of the newest record."""
        return Position(self.spans[-1].epoch, self.last_seq) if self.spans else self.base

    def epoch_at(self, seq: int) -> int | None:
        """Return the epoch of the record `seq`, None where the log does not reach or has given it up."""
        if seq == self.base.seq:
            return self.base.epoch
        if not self.base.seq < seq <= self.last_seq:
            return None
        return next(span.epoch for span in reversed(self.spans) if span.first <= seq)

    def denies(self, seq: int, epoch: int) -> bool:
        """Tell whether the record `seq` is surely of another epoch, also where the log has given it up."""
        known = self.epoch_at(seq)
        return epoch != known if known is not None else seq < self.base.seq and epoch > self.base.epoch

    def place(self, seq: int) -> Position:
        """Return the place of a record that the log holds, or of the one before its first.

        Raises:
            LookupError: it holds no such record.
        """
        epoch = self.epoch_at(seq)
        if epoch is None:
            raise LookupError(f"the log holds the records {self.base.seq + 1} to {self.last_seq}, not {seq}")
        return Position(epoch, seq)

    def first_of(self, epoch: int) -> int | None:
        """Return the seq of the first record of an epoch that the log still holds."""
        return next((span.first for span in self.spans if span.epoch == epoch), None)

    def extended(self, epoch: int, last_seq: int) -> "History":
        """Return the history with records of `epoch` behind the last one, up to `last_seq`."""
        if last_seq <= self.last_seq:
            return self
        if epoch < self.last.epoch:
            raise ValueError(f"a record of epoch {epoch} can't follow one of epoch {self.last.epoch}")
        known = self.spans and self.spans[-1].epoch == epoch
        added = () if known else (Span(self.last_seq + 1, epoch),)
        return History(self.base, (*self.spans, *added), last_seq)

    def cut(self, after: int) -> "History":
        """Return the history without the records behind `after`."""
        kept = tuple(span for span in self.spans if span.first <= after)
        return History(self.base, kept, min(after, self.last_seq))

    def trimmed(self, base: int) -> "History":
        """Return the history without the records up to `base`, which the log has given up."""
        if base <= self.base.seq:
            return self
        place = self.place(base)
        left = tuple(Span(max(span.first, base + 1), span.epoch) for span in self.spans)
        ends = [span.first for span in self.spans[1:]] + [self.last_seq + 1]
        kept = tuple(span for span, end in zip(left, ends, strict=True) if end > base + 1)
        return History(place, kept, self.last_seq)

    def common(self, hint: Position) -> int:
        """Return the greatest seq up to `hint.seq` that may be the same in a log that has `hint` there.

        What is of a greater epoch here than the other log has at its end can't be in it.
        """
        seq = min(hint.seq, self.last_seq)
        while seq > self.base.seq and (self.epoch_at(seq) or 0) > hint.epoch:
            span = next(span for span in reversed(self.spans) if span.first <= seq)
            seq = span.first - 1
        return seq


def starting(base: Position) -> History:
    """Return the history of a log that holds no record and goes on behind `base`."""
    return History(base, (), base.seq)
