"""The list of a shard's sealed segments, and the seq that they cover: what is not in it does not exist.

Rule: segments first, then the manifest that names them, then the deletion of what it no longer names.
A tombstone file may know of writes newer than the covered seq, if those are durable in the log: replaying
them kills the same rows again.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pydantic

from .. import checked_json, errors, failpoints, files
from ..arrays import Mask
from . import descriptor

VERSION = 1
FILE_NAME = "manifest.json"
SEGMENTS = "segments"
WRITE_IDS = "write-ids-"
"""What names of files of write ids begin with; see `write_ids_file`."""


class Tombstones(descriptor.Model):
    """A file in the segment's folder: one bit for each row, 1 for dead, lowest bit first."""

    file: str
    content: descriptor.FileSum
    dead: int


class Listed(descriptor.Model):
    """One segment; its folder is `segments/<name>`."""

    name: str
    described: descriptor.Descriptor
    tombstones: Tombstones | None = None


class WriteIds(descriptor.Model):
    """A file beside the manifest: the ids of recent writes that came with segments from another replica."""

    file: str
    content: descriptor.FileSum


class Manifest(descriptor.Model):
    """What is stored: segments with every write up to (covered_epoch, covered_seq), which is committed.

    `uid` is the folder's. The log must reach `durable_seq`: writes up to there are in it or in segments, and
    have killed rows of segments.
    """

    version: int = VERSION
    uid: str = ""
    covered_epoch: int = 0
    covered_seq: int = 0
    durable_seq: int = 0
    next_number: int = 1
    segments: tuple[Listed, ...] = ()
    write_ids: WriteIds | None = pydantic.Field(default=None, exclude_if=lambda none: none is None)


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest, durable when this returns.

    Raises:
        OSError: the disk is full or failing; the old manifest is then still in force.
    """
    checked_json.write(folder / FILE_NAME, "manifest", manifest.model_dump(mode="json"))


def read(folder: Path, uid: str = "") -> Manifest:
    """Read the manifest of the folder `uid`; an empty one where the folder has none yet.

    Raises:
        DataLossError: it is damaged, of a newer version, or another folder's.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return Manifest(uid=uid)
    found = parse(path.read_bytes(), str(path))
    if found.uid != uid:
        raise errors.DataLossError(
            f"{path} is of another folder: it names uid {found.uid}, identity.json names {uid}"
        )
    return found


def pack(manifest: Manifest) -> bytes:
    """Return a manifest as its file holds it."""
    return checked_json.pack("manifest", manifest.model_dump(mode="json"))


def parse(content: bytes, path: str = "a manifest") -> Manifest:
    """Return the manifest that a file holds.

    Raises:
        DataLossError: it is damaged, or of a newer version.
    """
    body = checked_json.unpack(content, "manifest", VERSION, path)
    try:
        return Manifest.model_validate(body)
    except pydantic.ValidationError as broken:
        raise errors.UnknownFormatError(f"{path} can't be understood: {broken}") from broken


def write_tombstones(folder: Path, live: Mask, seq: int) -> Tombstones | None:
    """Write which rows of a segment are dead into its folder; None where all live.

    Raises:
        OSError: the disk is full or failing.
    """
    if live.all():
        return None
    dead = int(np.count_nonzero(~live))
    path = folder / f"dead-{seq:020d}-{dead}.bits"
    files.write_durably(path, np.packbits(~live, bitorder="little").tobytes(), "tombstones")
    return Tombstones(file=path.name, content=descriptor.sum_of(path), dead=dead)


def read_live(folder: Path, rows: int, tombstones: Tombstones | None) -> Mask:
    """Return which of a segment's rows live; `folder` holds the tombstone file.

    Raises:
        DataLossError: the tombstone file is missing or not as it was written.
    """
    if tombstones is None:
        return np.ones(rows, np.bool_)
    path = folder / tombstones.file
    descriptor.check(path, tombstones.content, f"tombstone file {path}")
    dead = np.unpackbits(np.frombuffer(path.read_bytes(), np.uint8), count=rows, bitorder="little")
    live: Mask = dead == 0
    return live


def clean(folder: Path, manifest: Manifest, held: Collection[str] = ()) -> None:
    """Delete what no manifest names: folders and tombstones of the past, and what a crash left.

    Segments in `held` stay.
    """
    kept = {listed.name: listed for listed in manifest.segments}
    if not (folder / SEGMENTS).exists():
        (folder / SEGMENTS).mkdir()
        files.fsync_path(folder)
    for path in (folder / SEGMENTS).iterdir():
        listed = kept.get(path.name)
        if listed is None and path.name in held:
            continue
        if listed is None:
            failpoints.reached("clean.before-segment")
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            continue
        for bits in (*path.glob("dead-*.bits"), *path.glob(files.TEMPORARY + "*")):
            if listed.tombstones is None or bits.name != listed.tombstones.file:
                failpoints.reached("clean.before-tombstones")
                bits.unlink()
    for ids in folder.glob(f"{WRITE_IDS}*"):
        if manifest.write_ids is None or ids.name != manifest.write_ids.file:
            failpoints.reached("write-ids.before-clean")
            ids.unlink()
    # Of the manifest alone: other files of the folder may be half written by somebody else right now.
    (folder / (files.TEMPORARY + FILE_NAME)).unlink(missing_ok=True)
