"""Receives a checkpoint's files, and puts them in the place of a shard's data.

```
incoming/<segment>/<file>   what has come so far; what is whole was compared with its sha256
incoming/write-ids-*.bin    the same, of the ids of recent writes
install.json                from here on the data is replaced, and a start goes on with it
```
What has come stays through a restart, and through another checkpoint where that has the same files: a file
that is not whole is continued at its end. Rule: all is received, verified and durable before install.json
says that it counts; every step behind that can be done again.
"""

import dataclasses
import os
import re
import shutil
from pathlib import Path

from .. import checked_json, errors, failpoints, files
from ..log import high_water, log_files
from ..segments import descriptor, manifest
from . import reusing

FOLDER = "incoming"
ADOPTING = "adopting"
"""Where built segments are received that a follower is going to adopt: never installed, only offered."""
INSTALL = "install.json"
VERSION = 1
_SEGMENT = re.compile(r"[0-9]{12}")
_FILE = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
_WRITE_IDS = re.compile(re.escape(manifest.WRITE_IDS) + r"[0-9a-f]{16}\.bin")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A file that is not whole yet: its segment and name, and where to go on."""

    segment: str
    file: str
    offset: int
    bytes: int


class Incoming:
    """One checkpoint on its way into a shard's folder. One thread at a time.

    Args:
        folder: the shard's.
        content: the checkpoint's manifest, as it came.
        home: where its files go, in the folder.

    Raises:
        DataLossError: the manifest is damaged, of another version, or names what can't be a segment's file.
        OSError: the disk is full or failing.
    """

    def __init__(self, folder: Path, content: bytes, home: str = FOLDER) -> None:
        self._folder = folder
        self._home = folder / home
        self.manifest = manifest.parse(content)
        self._sums = {
            (listed.name, name): wanted
            for listed in self.manifest.segments
            for name, wanted in _sums_of(listed).items()
        }
        self._whole: set[tuple[str, str]] = set()
        for segment, file in self._sums:
            if not _SEGMENT.fullmatch(segment) or not _FILE.fullmatch(file):
                raise errors.DataLossError(f'a checkpoint names file "{file}" of segment "{segment}"')
        if ids := self.manifest.write_ids:
            if not _WRITE_IDS.fullmatch(ids.file):
                raise errors.DataLossError(f'a checkpoint names file "{ids.file}" of write ids')
            self._sums["", ids.file] = ids.content
        self._look()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(wanted.bytes for wanted in self._sums.values())

    @property
    def complete(self) -> bool:
        """Whether every file is here and is what it must be."""
        return len(self._whole) == len(self._sums)

    def wanted(self) -> list[Wanted]:
        """Return the files that are not whole yet, in any order to be fetched."""
        return [
            Wanted(*place, self._size(place), self._sums[place].bytes)
            for place in self._sums
            if place not in self._whole
        ]

    @property
    def lacking(self) -> int:
        """Bytes that are still to come."""
        return sum(wanted.bytes - wanted.offset for wanted in self.wanted())

    def take_over(self, known: reusing.Known) -> int:
        """Link the files that are here already, in other folders; returns how many bytes need not come.

        What can't be linked, or is not what it was, is left to be fetched.
        """
        taken = 0
        for place, wanted in self._sums.items():
            source = known.get(wanted)
            if source is None or place in self._whole:
                continue
            path = self._path(place)
            linked = path.with_name(files.TEMPORARY + path.name)
            try:
                os.link(source, linked)
                linked.replace(path)
                self._finish(place)
            except (errors.DataLossError, OSError):
                continue
            taken += wanted.bytes
        return taken

    def write(self, place: tuple[str, str], offset: int, data: bytes) -> None:
        """Take the next piece of a file, (segment, name); its last piece is compared and made durable.

        Raises:
            BadRequestError: it is not wanted, or not what comes next.
            DataLossError: the file is not what the manifest says; it is gone, and to be fetched anew.
            OSError: the disk is full or failing; what came before stays.
        """
        wanted = self._sums.get(place)
        if wanted is None or place in self._whole or offset != self._size(place):
            raise errors.BadRequestError(
                f"byte {offset} of {place[1]} of segment {place[0]} is not what is wanted"
            )
        path = self._path(place)
        with path.open("ab") as target:
            target.write(data)
        if offset + len(data) >= wanted.bytes:
            self._finish(place)

    def _finish(self, place: tuple[str, str]) -> None:
        path = self._path(place)
        if descriptor.sum_of(path) != self._sums[place]:
            path.unlink()
            raise errors.DataLossError(f"{path.name} of segment {path.parent.name} came damaged")
        files.fsync_path(path)
        self._whole.add(place)

    def folder_of(self, segment: str) -> Path:
        """Return where a segment's files are."""
        return self._home / segment

    def _path(self, place: tuple[str, str]) -> Path:
        return self._home / place[0] / place[1]

    def _size(self, place: tuple[str, str]) -> int:
        path = self._path(place)
        return path.stat().st_size if path.exists() else 0

    def _look(self) -> None:
        """Keep what is here and wanted; remove everything else."""
        self._home.mkdir(exist_ok=True)
        segments = {segment for segment, _ in self._sums if segment}
        for path in list(self._home.iterdir()):
            if path.is_dir() and path.name not in segments:
                shutil.rmtree(path)
        for segment in ("", *segments):
            (self._home / segment).mkdir(exist_ok=True)
            for path in (self._home / segment).iterdir():
                wanted = self._sums.get((segment, path.name))
                if path.is_file() and (wanted is None or path.stat().st_size > wanted.bytes):
                    path.unlink()
        for place, wanted in self._sums.items():
            if self._size(place) == wanted.bytes and self._path(place).exists():
                try:
                    self._finish(place)
                except errors.DataLossError:
                    continue  # it was another checkpoint's

    def begin_install(self, uid: str) -> None:
        """Decide that this is the shard's data from now on; `storage.open_shard` does it.

        The shard must be closed, and its log must hold nothing committed that the checkpoint lacks. The log
        then begins behind the checkpoint; writes of before are recognised by the ids that came with it.

        Args:
            uid: of the folder.

        Raises:
            ShardError: not every file is here.
            OSError: the disk is full or failing; it is decided or not, as the next start finds.
        """
        if not self.complete:
            raise errors.ShardError("a checkpoint can be installed only once it is here whole")
        for path in (*self._home.iterdir(), self._home, self._folder):
            files.fsync_path(path)
        number = manifest.read(self._folder, uid).next_number
        names = {listed.name: f"{number + at:012d}" for at, listed in enumerate(self.manifest.segments)}
        segments = tuple(
            listed.model_copy(update={"name": names[listed.name]}) for listed in self.manifest.segments
        )
        change = {"uid": uid, "next_number": number + len(names), "segments": segments}
        renewed = self.manifest.model_copy(update=change)
        body = {"version": VERSION, "names": names, "manifest": renewed.model_dump(mode="json")}
        checked_json.write(self._folder / INSTALL, "install", body)


def is_installing(folder: Path) -> bool:
    """Tell whether the folder's data is being replaced."""
    return (folder / INSTALL).exists()


def finish_install(folder: Path, log: Path, owner: int) -> None:
    """Replace the data by the checkpoint that was decided on, from wherever this was cut short.

    Args:
        folder: the shard's.
        log: its log's.
        owner: whose the log is.

    Raises:
        DataLossError: install.json is damaged, or segments that it names are gone.
        OSError: the disk is full or failing; a later call goes on.
    """
    body = checked_json.read(folder / INSTALL, "install", VERSION)
    renewed = manifest.Manifest.model_validate(body["manifest"])
    for theirs, ours in body["names"].items():
        _move(folder / FOLDER / theirs, folder / manifest.SEGMENTS / ours)
        failpoints.reached("install.moved")
    files.fsync_path(folder / manifest.SEGMENTS)
    if ids := renewed.write_ids:
        _move(folder / FOLDER / ids.file, folder / ids.file)
        failpoints.reached("install.ids-moved")
    manifest.write(folder, renewed)
    for path in (log / high_water.FILE_NAME, *log_files.paths(log)):
        path.unlink(missing_ok=True)
        failpoints.reached("install.log-deleted")
    files.fsync_path(log)
    log_files.create(log, renewed.covered_seq + 1, owner, renewed.covered_epoch)
    failpoints.reached("install.log-made")
    (folder / INSTALL).unlink()
    files.fsync_path(folder)
    failpoints.reached("install.done")
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    if source.exists():
        shutil.rmtree(target, ignore_errors=True)
        source.rename(target)
    elif not target.exists():
        raise errors.DataLossError(f"{target} is to be made of {source}, which is gone")


def _sums_of(listed: manifest.Listed) -> dict[str, descriptor.FileSum]:
    own = {listed.tombstones.file: listed.tombstones.content} if listed.tombstones else {}
    return listed.described.files | own
