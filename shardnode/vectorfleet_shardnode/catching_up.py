"""Applies records that the log has to a shard's states: those that are committed, or all before it leads."""

import dataclasses
from collections.abc import Callable, Iterator

from . import errors, records, transitions
from .log import contents, log_format, log_index
from .settings import Tuning
from .snapshot import Snapshot
from .states import States

_PIECE = 8 << 20  # bytes of records that are read from the log at a time


def applied(state: Snapshot, place: log_index.Position, record: records.Record) -> Snapshot:
    """Return the state after a record that the log has.

    Raises:
        LogFailedError: it could not be applied, so that nothing behind it can be.
    """
    try:
        return transitions.applied(state, place, record)
    except Exception as failure:
        raise errors.LogFailedError(
            f"record {place.seq} is in the log but could not be applied; restart"
        ) from failure


@dataclasses.dataclass(frozen=True)
class CatchingUp:
    """For the one writer.

    Attributes:
        states: the shard's.
        log: what is read.
        tuning: says when a growing segment is full.
        begin_next: ends the visible state's growing segment, where there is room; else returns False.
    """

    states: States
    log: contents.Contents
    tuning: Tuning
    begin_next: Callable[[], bool]

    def bring_head(self) -> None:
        """Apply all that is in the log behind the visible state, durable or not, to the head.

        Raises:
            LogFailedError: as `applied`.
        """
        for entry in self._entries_after(self.states.visible.seq):
            head = self.states.head
            if transitions.is_full(head, self.tuning):
                head = transitions.frozen(head)
            self.states.add(after(head, entry))

    def _entries_after(self, seq: int) -> Iterator[log_format.Entry]:
        while entries := self.log.read(seq + 1, _PIECE, unsynced=True):
            yield from entries
            seq = entries[-1].seq

    def bring_visible(self, last_seq: int) -> None:
        """Apply what is durable up to a seq to the visible state, as far as there is room.

        Raises:
            LogFailedError: as `applied`.
        """
        while (state := self.states.visible).seq < last_seq:
            for entry in self.log.read(state.seq + 1, _PIECE):
                full = transitions.is_full(self.states.visible, self.tuning)
                if entry.seq > last_seq or (full and not self.begin_next()):
                    return
                self.states.advance(after(self.states.visible, entry))


def after(state: Snapshot, entry: log_format.Entry) -> Snapshot:
    """Return the state after a record as the log has it; see `applied`."""
    record = records.decode(entry.op, memoryview(entry.payload))
    return applied(state, log_index.Position(entry.epoch, entry.seq), record)
