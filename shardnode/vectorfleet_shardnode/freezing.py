"""Ends a shard's growing segment where it is full, and holds up what would grow while too many wait.

A segment that was ended is frozen: it waits, in memory, to be flushed. So few may wait that what they take
is bounded.
"""

import dataclasses
import threading
import time
from collections.abc import Callable

from . import errors, transitions
from .log import wal
from .settings import Tuning
from .states import Done, States, Written

_MAX_FROZEN = 2
_PATIENCE = 20.0  # seconds that a write waits for a flush
_MEANWHILE = 0.02  # seconds after which others have a turn


@dataclasses.dataclass(frozen=True)
class Freezing:
    """For the one writer: its lock is held wherever this is asked for something.

    Attributes:
        writing: the writer's lock; notified when a segment was flushed.
        states: the shard's.
        log: begins a new file with each growing segment.
        tuning: says when a segment, and a file of the log, is full.
        frozen: set when there is a segment to flush.
    """

    writing: threading.Condition
    states: States
    log: wal.Log
    tuning: Tuning
    frozen: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def uncommitted(self) -> bool:
        """Whether a growing segment was ended whose rows are not all committed yet."""
        return len(self.states.head.growing) > len(self.states.visible.growing)

    def begin_due(self) -> bool:
        """Begin the next growing segment where this one, or the log's file, is full.

        Returns:
            False where that is due and can't be, since too many wait to be flushed.

        Raises:
            StorageFullError, LogFailedError: as `freeze`.
        """
        if not self._is_due():
            return True
        if room := self._has_room():
            self.freeze()
        return room

    def wait(self, leads: Callable[[], bool], meanwhile: Callable[[], None]) -> None:
        """Wait until `begin_due` may succeed, or this replica takes no writes any more.

        Args:
            leads: whether it takes writes still.
            meanwhile: called now and then.

        Raises:
            FlushBehindError: nothing was flushed for 20 s.
        """
        until = time.monotonic() + _PATIENCE
        while self._is_due() and not self._has_room() and leads():
            if time.monotonic() >= until:
                raise errors.FlushBehindError(
                    f"{_MAX_FROZEN} full segments wait to be written to the disk; try again later"
                )
            self.writing.wait(_MEANWHILE)
            meanwhile()

    def freeze(self) -> Done:
        """End the head's growing segment and start the next, with a new log file.

        Raises:
            StorageFullError, LogFailedError: the log can't go on in a new file; nothing has changed.
        """
        self.log.rotate()
        head = transitions.frozen(self.states.head)
        done = self.states.add(head, Written(head.seq, 0, head.epoch))
        self.frozen.set()
        return done

    def freeze_visible(self) -> bool:
        """End the visible state's growing segment; False where there is no room for another for 20 s."""
        if room := self.writing.wait_for(self._has_room, _PATIENCE):
            self.states.advance(transitions.frozen(self.states.visible))
            self.frozen.set()
        return room

    def _is_due(self) -> bool:
        """Tell whether the growing segment is to be ended."""
        full = transitions.is_full(self.states.head, self.tuning)
        return full or self.log.bytes_in_file >= self.tuning.log_file_bytes

    def _has_room(self) -> bool:
        """Tell whether another segment may be ended: not too many wait to be flushed."""
        return len(self.states.head.growing) <= _MAX_FROZEN
