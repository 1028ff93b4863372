"""What a log holds, to be asked from any thread: positions, epochs, writes by their ids, and records.

Nothing here changes a log; that is for the one who writes it, see `wal`.
"""

import threading
from pathlib import Path

from .. import errors
from . import log_format, log_index, reading


class Contents:
    """The records of a log, and what is known of them.

    Args:
        folder: of the log.
        index: what recovery found in it; the log's own from now on.
        owner: whose it is.
    """

    def __init__(self, folder: Path, index: log_index.Index, owner: int) -> None:
        self.cuts = 0  # how many there were in this process
        self._index = index
        self._durable = index.last_seq
        self._stored = reading.StoredRecords(folder, owner)
        # Taken in this order: reading, then state.
        self._reading = threading.Lock()  # held while files must not be cut
        self._state = threading.Condition()

    @property
    def last(self) -> log_index.Position:
        """The newest record, durable or not; the position before the first one where there is none."""
        with self._state:
            return self._index.last

    @property
    def last_seq(self) -> int:
        """The seq of `last`."""
        return self._index.last_seq

    @property
    def durable_seq(self) -> int:
        """Up to where the log is on the disk."""
        return self._durable

    @property
    def first_seq(self) -> int:
        """The seq of the first record that the log still holds, or would hold if it had any."""
        with self._state:
            return self._index.first_seq

    def epoch_at(self, seq: int) -> int | None:
        """Return the epoch of a record, or of the one before the first; None before that and behind the last.

        This is what log matching asks: the position (epoch, seq) is in this log if `epoch_at(seq) == epoch`.
        """
        with self._state:
            return self._index.spans.epoch_at(seq) if seq <= self._index.last_seq else None

    def epoch_of(self, seq: int) -> int:
        """Return the epoch of a record that the log holds, or of the one before its first.

        Raises:
            CutAwayError: it holds it no more.
        """
        epoch = self.epoch_at(seq)
        if epoch is None:
            raise errors.CutAwayError(f"the log does not hold record {seq}")
        return epoch

    def history(self) -> tuple[list[log_index.Position], log_index.Position]:
        """Return where each epoch begins, and the last position.

        The first of the beginnings is the position just before the log's first record; each other one is the
        epoch's first record that the log holds.
        """
        with self._state:
            return self._index.spans.beginnings, self._index.last

    def find_write(self, write_id: bytes) -> log_index.Write | None:
        """Return what became of a write with this id; None where the log doesn't know (any more).

        Known are the newest 100,000 writes whose records the log holds, across restarts, committed or not;
        and, until it holds as many, those that came with segments from another replica.
        """
        with self._state:
            return self._index.find_write(write_id) if write_id else None

    def newest_writes(self, upto: int) -> list[log_index.Known]:
        """Return the newest writes that are known, of records up to a seq; 100,000 at most, oldest first."""
        with self._state:
            return self._index.newest_writes(upto)

    @property
    def carries_writes(self) -> bool:
        """Whether writes are known that came with segments."""
        with self._state:
            return self._index.carries

    def read(self, first_seq: int, max_bytes: int, *, unsynced: bool = False) -> list[log_format.Entry]:
        """Return records in order from `first_seq` on: to be shipped, or applied.

        Some of them, `max_bytes` at most yet one at least; none where there is none behind. From memory where
        they are recent, else from the files. Only what is durable, unless `unsynced` asks for all.

        Raises:
            CutAwayError: the log does not hold the first one any more, or its file is damaged.
        """
        with self._reading:
            with self._state:
                last = self._index.last_seq if unsynced else self._durable
                begin = self._index.first_seq
                found = self._index.recent.read(first_seq, last, max_bytes) if first_seq <= last else []
            if found or first_seq > last:
                return found
            if first_seq < begin:
                raise errors.CutAwayError(f"the log begins at seq {begin}; record {first_seq} was asked for")
            return self._stored.read(first_seq, last, max_bytes)

    def read_recent(self, first_seq: int, last_seq: int, max_bytes: int) -> list[log_format.Entry]:
        """Return these records where all are durable, recent, and `max_bytes` at most; else none.

        Waits for nobody: none as well where somebody else holds the log now.
        """
        if not self._state.acquire(blocking=False):
            return []
        try:
            upto = min(last_seq, self._durable)
            found = self._index.recent.read(first_seq, upto, max_bytes)
        finally:
            self._state.release()
        whole = len(found) == last_seq - first_seq + 1 and sum(entry.size for entry in found) <= max_bytes
        return found if whole else []
