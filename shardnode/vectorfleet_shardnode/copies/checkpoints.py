"""Checkpoints: a committed state as files that another replica copies, while this one goes on.

A checkpoint is exactly what readers see at one seq: the sealed segments' files, which never change and are
held as long as it is read; which of their rows were dead at that seq, in tombstone files of its own; and the
rows that grow, written once as one more segment. The ids of recent writes are with it, so that whoever
copies it recognises them when they are sent again. Its log goes on behind that seq, and is held as well.

Files are read by the names in the checkpoint's manifest, never by a path.
"""

import dataclasses
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .. import errors, pins, shard
from ..log import log_index
from ..segments import manifest, writer
from ..snapshot import Snapshot
from ..upkeep import layout, maintenance
from . import write_ids_file

FOLDER = "checkpoints"
MOST = 4
"""Checkpoints at a time, those of built segments not counted."""
PIECE_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a replica that lacks the log's beginning is told.

    Attributes:
        id: names it in `read` and `release`.
        manifest: of its segments, in the bytes of a manifest.json; see `incoming.Incoming`.
        covered: the last record that it holds.
        bytes: of all of its files.
    """

    id: str
    manifest: bytes
    covered: log_index.Position
    bytes: int


@dataclasses.dataclass
class _Held:
    """The files of a checkpoint by (segment, file), and until when they stay; or of built segments alone."""

    files: dict[tuple[str, str], Path]
    until: float
    built: Checkpoint | None = None


class Checkpoints:
    """The checkpoints of a shard that is served. For any thread; calls use the disk.

    Args:
        served: the shard.
        keeper: what keeps its segments; it deletes none that is held.
        seconds: for how long a checkpoint stays after it was taken or last read.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        served: shard.Shard,
        keeper: maintenance.Maintenance,
        seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._shard = served
        self._keeper = keeper
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._folder = served.folder / FOLDER
        shutil.rmtree(self._folder, ignore_errors=True)

    def take(self) -> Checkpoint:
        """Make a checkpoint of what readers see now; it stays for `seconds` after the last `read`.

        Raises:
            UnavailableError: there are 4 already; try again later.
            OSError: the disk is full or failing; nothing is left.
        """
        self.expire()
        name = secrets.token_hex(8)
        with self._keeper.pins.lock, self._lock:
            if sum(held.built is None for held in self._held.values()) >= MOST:
                raise errors.UnavailableError(f"{MOST} checkpoints are being copied; try again later")
            state = self._shard.snapshot
            names = frozenset(view.segment.name for view in state.sealed)
            self._keeper.pins.hold(name, names, state.seq)
            self._held[name] = _Held({}, self._clock() + self.seconds)
        try:
            listed = self._write(state, self._folder / name, self._held[name].files)
            ids = self._write_ids(state, self._folder / name, self._held[name].files)
        except BaseException:
            self.release(name)
            raise
        stored = manifest.Manifest(
            uid=self._shard.replica.disk,
            covered_epoch=state.epoch,
            covered_seq=state.seq,
            durable_seq=state.seq,
            next_number=1,
            segments=tuple(listed),
            write_ids=ids,
        )
        size = sum(path.stat().st_size for path in self._held[name].files.values())
        return Checkpoint(name, manifest.pack(stored), log_index.Position(state.epoch, state.seq), size)

    def take_built(self) -> Checkpoint:
        """Hold the segments that were built, for followers that have their rows; nothing is written for it.

        Whoever asks while they are the same is given the same.
        """
        self.expire()
        with self._keeper.pins.lock, self._lock:
            state = self._shard.snapshot
            views = [view for view in state.sealed if view.segment.indexed]
            listed = tuple(
                manifest.Listed(name=view.segment.name, described=view.segment.descriptor) for view in views
            )
            stored = manifest.Manifest(uid=self._shard.replica.disk, segments=listed)
            content = manifest.pack(stored)
            for held in self._held.values():
                if held.built is not None and held.built.manifest == content:
                    held.until = self._clock() + self.seconds
                    return held.built
            paths = {
                (view.segment.name, file): view.segment.folder / file
                for view in views
                for file in view.segment.descriptor.files
            }
            size = sum(view.segment.descriptor.bytes for view in views)
            taken = Checkpoint(
                secrets.token_hex(8), content, log_index.Position(state.epoch, state.seq), size
            )
            self._keeper.pins.hold(taken.id, frozenset(one.name for one in listed), pins.ALL)
            self._held[taken.id] = _Held(paths, self._clock() + self.seconds, taken)
            return taken

    def _write(
        self, state: Snapshot, folder: Path, files: dict[tuple[str, str], Path]
    ) -> list[manifest.Listed]:
        """Write what is the checkpoint's own, and note all of its files."""
        listed = []
        for view in state.sealed:
            if not view.live_rows:
                continue
            name, described = view.segment.name, view.segment.descriptor
            own = folder / name
            own.mkdir(parents=True)
            tombstones = manifest.write_tombstones(own, view.live, state.seq)
            listed.append(manifest.Listed(name=name, described=described, tombstones=tombstones))
            files |= {(name, file): view.segment.folder / file for file in described.files}
            if tombstones:
                files[name, tombstones.file] = own / tombstones.file
        sources = [layout.source_of(view) for view in state.growing if view.live_rows]
        if sources:
            # A number that no segment has: what has come of another file must not pass for its beginning.
            own = folder / f"9{secrets.randbelow(10**11):011d}"
            own.mkdir(parents=True)
            described = writer.write(own, sources, self._keeper.recipe(indexed=False))
            listed.append(manifest.Listed(name=own.name, described=described))
            files |= {(own.name, file): own / file for file in described.files}
        return listed

    def _write_ids(
        self, state: Snapshot, folder: Path, files: dict[tuple[str, str], Path]
    ) -> manifest.WriteIds | None:
        """Write the ids of the newest writes that the checkpoint holds, and note the file."""
        folder.mkdir(parents=True, exist_ok=True)
        listed = write_ids_file.write(folder, self._shard.log.newest_writes(state.seq))
        if listed is not None:
            files["", listed.file] = folder / listed.file
        return listed

    def read(self, checkpoint: str, place: tuple[str, str], offset: int, most: int = PIECE_BYTES) -> bytes:
        """Return a piece of a file from an offset on; empty at its end.

        Args:
            checkpoint: its id.
            place: the segment's name, and the file's, both as the manifest has them; of write ids no segment.
            offset: in bytes.
            most: bytes.

        Raises:
            NotHereError: there is no such checkpoint any more; ask for another one.
            BadRequestError: it has no such file.
        """
        with self._lock:
            held = self._held.get(checkpoint)
            if held is None:
                raise errors.NotHereError(f'there is no checkpoint "{checkpoint}"; ask for another one')
            held.until = self._clock() + self.seconds
            path = held.files.get(place)
        if path is None or offset < 0:
            raise errors.BadRequestError(f"the checkpoint has no file {place[1]} of segment {place[0]}")
        with path.open("rb") as source:
            return os.pread(source.fileno(), max(0, min(most, PIECE_BYTES)), offset)

    def release(self, checkpoint: str) -> None:
        """Give a checkpoint up; its files may go."""
        with self._lock:
            self._held.pop(checkpoint, None)
        self._keeper.pins.release(checkpoint)
        shutil.rmtree(self._folder / checkpoint, ignore_errors=True)

    def expire(self) -> None:
        """Give up those that nobody has read for a while. To be called now and then."""
        now = self._clock()
        with self._lock:
            gone = [name for name, held in self._held.items() if held.until < now]
        for name in gone:
            self.release(name)
