"""Stands before everything that takes memory or disk: measures, decides, remembers.

Writers ask before they write, maintenance before it builds; it also looks again by itself, so that writes
are taken once there is room, without a restart and without waiting for somebody's write.
"""

import dataclasses
import os
import threading
import time
from pathlib import Path

from .. import errors
from ..api import shard_pb2
from ..settings import Tuning
from . import disk, memory, meter

_FRESH = 0.05  # seconds for which a reading of use holds; what was let in since is added to it
_FEWER = 0.75  # share of the graphs, left out at the start, at which loading them is tried
_HELD = 10.0  # seconds that a refused write stays told, so that the condition doesn't flap


@dataclasses.dataclass(frozen=True)
class Need:
    """What a merge takes at its height, and the files that it writes; both in bytes."""

    memory: int
    disk: int


class Guard:
    """The limits of one shard.

    Args:
        folder: on the volume that is watched.
        tuning: bounds.
        measured: the memory limit, and what is in use.
        restricted: why graphs are not loaded; empty where they are.
    """

    def __init__(
        self, folder: Path, tuning: Tuning, measured: meter.Meter = meter.UNLIMITED, restricted: str = ""
    ) -> None:
        self.meter = measured
        self.bounds = memory.Bounds(self.meter.limit, tuning.memory_soft_share)
        self.restricted = restricted
        self._folder = folder
        self._disk_bounds = disk.Bounds(tuning.reserved_bytes, tuning.disk_soft_share)
        self._lock = threading.Lock()
        self._full = ""  # the disk's own refusal
        self._short = ""  # of memory
        self._low = ""  # of disk
        self._postponed: tuple[str, str] = ("", "")  # a merge's refusal by memory, and by disk
        self._read_at, self._used = 0.0, 0
        self._told = (-_HELD, "")  # when a write was last refused for lack of memory, and why
        self._left_out = 0  # bytes of graphs that the start did not load
        self._caution = 1  # by how much more than estimated a merge is taken to need

    def used(self) -> int:
        """Return what counts against the memory limit, in bytes; told without a limit too."""
        return self.meter.used() if self.meter.limit else meter.family_bytes()

    @property
    def problem(self) -> str:
        """Why writes that grow are refused; empty where they are taken."""
        return self.restricted or self._short or self._low or self._full

    def admit(self, write: memory.Write, stored: int) -> None:
        """Let a write in that makes the shard grow.

        Args:
            write: what it takes.
            stored: bytes of all segments' files.

        Raises:
            MemoryFullError, StorageFullError: there is no room; reads and deletes go on.
        """
        if self.restricted:
            raise errors.MemoryFullError(self.restricted)
        with self._lock:
            used = self._measured()
            self._short = memory.refusal_of_write(self.bounds, used, write, pressed=bool(self._short))
            self._look_at_disk(stored)
            if not self._short and not self._low:
                self._used += write.growth
        if self._short:
            self._told = (time.monotonic(), self._short)
            raise errors.MemoryFullError(self._short)
        if self._low:
            raise errors.StorageFullError(self._low)

    @property
    def no_room(self) -> str:
        """Why the disk takes nothing that grows; empty where it does."""
        return self._low or self._full

    @property
    def disk_is_full(self) -> bool:
        """Whether the disk refused the last write."""
        return bool(self._full)

    @property
    def memory_is_short(self) -> bool:
        """Whether memory is why writes are refused."""
        return bool(self._short)

    def retained_log(self, stored: int, kept: int, wanted: int) -> int:
        """Return how many bytes of log may be kept that segments cover; see `disk.retained_log`."""
        if self._full:
            return 0
        return disk.retained_log(self._disk_bounds, volume_of(self._folder), stored, kept, wanted)

    def note_full(self, refusal: str) -> None:
        """Remember that the disk itself refused a write."""
        self._full = refusal

    def note_written(self) -> None:
        """Remember that the disk took one."""
        self._full = ""

    def look(self, stored: int) -> None:
        """See whether writes are to be refused, or taken again."""
        with self._lock:
            used = self._measured()
            pressed = memory.is_pressed(self.bounds, used, before=bool(self._short))
            self._short = memory.pressure(self.bounds, used) if pressed else ""
            self._look_at_disk(stored)

    def _look_at_disk(self, stored: int) -> None:
        self._low = disk.refusal_of_write(
            self._disk_bounds, volume_of(self._folder), stored, pressed=bool(self._low)
        )

    def _measured(self) -> int:
        if self.bounds.limit and time.monotonic() - self._read_at > _FRESH:
            self._used, self._read_at = self.meter.used(), time.monotonic()
        return self._used

    def fits(self, need: Need) -> bool:
        """Tell whether a merge can begin; what holds it back is told in the conditions."""
        self._postponed = self._refusals(need)
        return not any(self._postponed)

    def note_killed(self) -> None:
        """Remember that a merge was killed though it was thought to fit."""
        self._caution = min(16, 2 * self._caution)

    def has_room(self, need: Need) -> bool:
        """Tell the same, without a word to anybody."""
        return not any(self._refusals(need))

    def refusal_of_copy(self, needed: int) -> str:
        """Return why `needed` bytes can't be copied from another replica; empty where they can."""
        return disk.refusal_of_copy(self._disk_bounds, volume_of(self._folder), needed)

    def _refusals(self, need: Need) -> tuple[str, str]:
        short = memory.refusal_of_build(self.bounds, self.meter.used(), self._caution * need.memory)
        return short, disk.refusal_of_merge(self._disk_bounds, volume_of(self._folder), need.disk)

    def may_load(self, graphs: int) -> bool:
        """Tell whether the graphs that the start left out can be loaded now; `graphs`: their bytes.

        A start that died though all was thought to fit must not end here again: some must be gone.
        """
        self._left_out = self._left_out or graphs
        fewer = graphs <= _FEWER * self._left_out
        return fewer and self.meter.used() + graphs <= self.bounds.release

    def note_loaded(self) -> None:
        """Remember that nothing is left out any more."""
        self.restricted = ""

    def note_nothing_waits(self) -> None:
        """Forget the merge that did not fit."""
        self._postponed = ("", "")

    def conditions(self) -> list[shard_pb2.Condition]:
        """Return MemoryPressure and DiskPressure where they hold, with the gravest reason."""
        waits, waits_for_disk = self._postponed
        at, refused = self._told
        short = self._short or (refused if time.monotonic() - at < _HELD else "")
        of_memory = {"GraphsNotLoaded": self.restricted, "SoftLimit": short, "MergePostponed": waits}
        of_disk = {"VolumeFull": self._full, "SoftLimit": self._low, "MergePostponed": waits_for_disk}
        return [*_condition("MemoryPressure", of_memory), *_condition("DiskPressure", of_disk)]


def _condition(kind: str, reasons: dict[str, str]) -> list[shard_pb2.Condition]:
    holding = [(reason, message) for reason, message in reasons.items() if message]
    return [shard_pb2.Condition(type=kind, reason=reason, message=said) for reason, said in holding[:1]]


def volume_of(folder: Path) -> disk.Volume:
    """Measure the volume that a folder is on, as an unprivileged process may use it."""
    found = os.statvfs(folder)
    return disk.Volume(
        (found.f_blocks - found.f_bfree + found.f_bavail) * found.f_frsize, found.f_bavail * found.f_frsize
    )
