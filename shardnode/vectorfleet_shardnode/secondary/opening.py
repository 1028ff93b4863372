"""Opens the segments that a manifest names, while the process that wrote it goes on to replace them.

A segment may be gone by the time that it is opened. Then there is a newer manifest, and what it names has the
same rows and later ones.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .. import errors
from ..limits import estimates, memory, meter
from ..segments import descriptor, manifest, sealed
from ..settings import Tuning

_TRIES = 20
Stamp = tuple[int, int]
"""Another one, another manifest."""


class ReplacedError(Exception):
    """A newer manifest is in force."""


@dataclasses.dataclass(frozen=True)
class Room:
    """The memory that graphs may take; where there is too little, rows are compared without them."""

    bounds: memory.Bounds
    measured: meter.Meter

    def holds_graphs(self, described: descriptor.Descriptor) -> bool:
        """Tell whether a segment's graphs fit."""
        graphs = estimates.resident_of(described).graphs
        return not self.bounds.limit or self.measured.used() + graphs <= self.bounds.release


def room(tuning: Tuning, measured: meter.Meter) -> Room:
    """Return the room that a shard's bounds leave."""
    return Room(memory.Bounds(measured.limit, tuning.memory_soft_share), measured)


class Stored:
    """The manifest of a folder that another process serves, and the segments that it names.

    Args:
        folder: the shard's.
        uid: whose manifest it is.
        room: for graphs.
    """

    def __init__(self, folder: Path, uid: str, room: Room) -> None:
        self._folder = folder
        self._uid = uid
        self._room = room

    def stamp(self) -> Stamp:
        """Return what changes when the manifest does."""
        try:
            found = (self._folder / manifest.FILE_NAME).stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def read(self) -> manifest.Manifest:
        """Return the manifest that is in force."""
        return manifest.read(self._folder, self._uid)

    def views(
        self, known: Mapping[str, sealed.SealedSegment]
    ) -> tuple[manifest.Manifest, tuple[sealed.SealedView, ...]]:
        """Return the manifest that is in force, and its segments as it lists them.

        Args:
            known: segments that are open already, by name.

        Raises:
            DataLossError: files are damaged.
            UnavailableError: there was always a newer one.
        """
        for _ in range(_TRIES):
            stamp = self.stamp()
            stored = self.read()
            try:
                return stored, tuple(self._view(listed, known, stamp) for listed in stored.segments)
            except ReplacedError:
                continue
        raise errors.UnavailableError(f"the segments in {self._folder} change faster than they are opened")

    def _view(
        self, listed: manifest.Listed, known: Mapping[str, sealed.SealedSegment], stamp: Stamp
    ) -> sealed.SealedView:
        segment = known.get(listed.name) or self.open(listed, stamp)
        try:
            live = manifest.read_live(segment.folder, segment.rows, listed.tombstones)
        except (OSError, errors.DataLossError) as missing:
            self._check(stamp, missing)
            raise
        return sealed.SealedView(segment, live)

    def open(self, listed: manifest.Listed, stamp: Stamp) -> sealed.SealedSegment:
        """Open a segment of the manifest that `stamp` is of.

        Raises:
            ReplacedError: that one is not in force any more.
            DataLossError: files are damaged.
        """
        home = self._folder / manifest.SEGMENTS / listed.name
        graphs = self._room.holds_graphs(listed.described)
        try:
            return sealed.SealedSegment(home, listed.described, graphs=graphs)
        except (OSError, errors.DataLossError, RuntimeError) as missing:  # the last is FAISS's
            self._check(stamp, missing)
            raise

    def _check(self, stamp: Stamp, missing: Exception) -> None:
        """Tell a file that is gone with its manifest from one that is damaged."""
        if self.stamp() != stamp:
            raise ReplacedError from missing


def all_of(segment: sealed.SealedSegment) -> sealed.SealedView:
    """Return the view in which every row of a segment lives."""
    return sealed.SealedView(segment, np.ones(segment.rows, np.bool_))
