"""The segments that count, on the disk and in memory: one takes the place of others, in one order.

Order of every change: segment files durable, then the manifest, then the swap in memory, and only then the
deletion of what is no longer named. A crash between any two leaves a state that the next start can serve.
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import errors, failpoints, files, pins, shard, transitions
from ..segments import descriptor, manifest, part, sealed
from ..snapshot import Snapshot

_TRIMS = 1.0  # seconds between looks at the log


class StoredSegments:
    """The sealed segments of a shard; one thread changes them.

    Args:
        served: the shard.
        stored: its manifest.

    Attributes:
        pins: what others still copy; it stays.
    """

    def __init__(self, served: shard.Shard, stored: manifest.Manifest) -> None:
        self.pins = pins.Pins()
        self._shard = served
        self._manifest = stored
        self._trimmed_at = -math.inf
        self._halted = ""  # why nothing more can be done until a restart

    @property
    def covered_seq(self) -> int:
        """Up to where segments hold every write."""
        return self._manifest.covered_seq

    def check(self) -> None:
        """Find out whether anything can be changed.

        Raises:
            ShardError: not before a restart; why.
        """
        if self._halted:
            raise errors.ShardError(self._halted)

    def adopt(self, output: Path, described: descriptor.Descriptor) -> sealed.SealedView:
        """Give a finished segment its name and open it; it counts once the manifest names it."""
        number = self._manifest.next_number
        home = self._shard.folder / manifest.SEGMENTS / f"{number:012d}"
        shutil.rmtree(home, ignore_errors=True)
        failpoints.reached("adopt.before-fsync")
        files.fsync_path(output)
        failpoints.reached("adopt.synced")
        output.rename(home)
        failpoints.reached("adopt.renamed")
        files.fsync_path(home.parent)
        failpoints.reached("adopt.durable")
        segment = sealed.SealedSegment(home, described)
        return sealed.SealedView(segment, np.ones(described.rows, np.bool_))

    def swap(self, before: Sequence[part.Part], added: sealed.SealedView | None, covered: int) -> None:
        """Let a segment take the place of the parts it was made of; `covered` is what segments hold then."""
        state = transitions.replaced(self._shard.snapshot, before, added)
        self._renew(state, covered, self._manifest.next_number + (1 if added else 0))
        self._shard.install(before, added)
        failpoints.reached("swap.installed")
        self._clean()

    def stand_in(self, added: sealed.SealedView) -> None:
        """Let a segment that was made elsewhere stand for its rows here."""
        state = transitions.adopted(self._shard.snapshot, added)
        self._renew(state, self._manifest.covered_seq, self._manifest.next_number + 1)
        self._shard.adopt(added)
        self._clean()

    def _renew(self, state: Snapshot, covered: int, next_number: int) -> None:
        """Write the manifest of a state's segments."""
        listed = tuple(self._list(view, state.seq) for view in state.sealed)
        renewed = manifest.Manifest(
            uid=self._manifest.uid,
            covered_epoch=self._shard.log.epoch_of(covered),
            covered_seq=covered,
            durable_seq=state.seq,
            next_number=next_number,
            segments=listed,
            write_ids=self._manifest.write_ids if self._shard.log.carries_writes else None,
        )
        self._write_manifest(renewed)
        self._manifest = renewed

    def _clean(self) -> None:
        """Give up what the manifest has made superfluous."""
        self.trim_log()
        failpoints.reached("swap.trimmed")
        with self.pins.lock:
            manifest.clean(self._shard.folder, self._manifest, self.pins.names)
        failpoints.reached("swap.cleaned")

    def trim_log_at(self, now: float) -> None:
        """Give up log as room demands, once in a while: it looks at every file of the log."""
        if self._shard.limits.problem or now >= self._trimmed_at + _TRIMS:
            self._trimmed_at = now
            self.trim_log()

    def trim_log(self) -> None:
        """Give up log that segments cover; what is being copied is followed by its log, if there is room."""
        covered = self._manifest.covered_seq
        self._shard.trim_log(covered if self._shard.limits.problem else self.pins.covered(covered))

    def _write_manifest(self, renewed: manifest.Manifest) -> None:
        try:
            manifest.write(self._shard.folder, renewed)
        except files.UnsureError as unsure:
            # Either may be in force after a power cut, so nothing that one of them names may go.
            self._halted = f"{unsure.strerror}; nothing more is written until a restart"
            raise

    def _list(self, view: sealed.SealedView, seq: int) -> manifest.Listed:
        """Return a segment's entry; tombstones are written anew only where there are more."""
        known = {listed.name: listed for listed in self._manifest.segments}.get(view.segment.name)
        if known and (known.tombstones.dead if known.tombstones else 0) == view.dead_rows:
            return known
        tombstones = manifest.write_tombstones(view.segment.folder, view.live, seq)
        return manifest.Listed(
            name=view.segment.name, described=view.segment.descriptor, tombstones=tombstones
        )
