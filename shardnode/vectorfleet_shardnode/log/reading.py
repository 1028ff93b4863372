"""Reads a log's files beside what is appended to them: kept ones at a start, and records for others.

Files whose records segments hold are kept for a while. A start looks at their headers, and at their records
only for write ids and for the places at which an epoch begins; one that is damaged or missing ends the log
there, and is no loss.
"""

import collections
import dataclasses
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path

from .. import errors, files
from . import log_files, log_format, log_index

_CURSORS = 16


@dataclasses.dataclass(frozen=True)
class Kept:
    """A file behind the covered seq: its header, and its records' heads where they were looked at."""

    header: log_format.Header
    heads: list[log_format.Entry] = dataclasses.field(default_factory=list)


def kept_files(paths: list[Path], owner: int, following: log_format.Header) -> list[Kept]:
    """Return those of the covered files, oldest first, that lead up to `following` without a gap.

    Args:
        paths: the covered files, oldest first.
        owner: whose log it is.
        following: the header of the first file that is not covered.
    """
    found: list[Kept] = []
    remembered = 0
    for path in reversed(paths):
        kept = _look_at(path, owner, following, with_ids=remembered < log_index.WRITE_IDS)
        if kept is None:
            break
        remembered += sum(1 for entry in kept.heads if entry.write_id)
        found.append(kept)
        following = kept.header
    return found[::-1]


def _look_at(path: Path, owner: int, following: log_format.Header, *, with_ids: bool) -> Kept | None:
    """Look at one file; None where it is damaged, or does not end where the next one begins."""
    try:
        files.read_through(path, None if with_ids else log_format.HEADER_BYTES)
        content = log_files.mapped(path)
        header = log_files.header_of(path, memoryview(content), owner)
        if header.epoch_before != following.epoch_before and not with_ids:
            files.read_through(path)
    except (OSError, errors.DataLossError):
        return None
    if not with_ids and header.epoch_before == following.epoch_before:
        return Kept(header)  # no epoch begins in it
    heads = [entry for entry, _ in _records(content, header.salt)]
    wanted = range(header.first_seq, following.first_seq)
    epochs = [header.epoch_before, *(entry.epoch for entry in heads)]
    whole = len(heads) == len(wanted) and all(map(_is_at, heads, wanted))
    if not whole or epochs[-1] != following.epoch_before or epochs != sorted(epochs):
        return None
    return Kept(
        header, [entry for at, entry in enumerate(heads) if entry.write_id or entry.epoch != epochs[at]]
    )


def _is_at(entry: log_format.Entry, seq: int) -> bool:
    return entry.seq == seq


def _records(
    content: mmap.mmap | bytes, salt: int, at: int = log_format.HEADER_BYTES
) -> Iterator[log_format.Placed]:
    """Yield the heads of a file's records, and not of its notes."""
    for placed in log_format.heads(memoryview(content), salt, at):
        if not log_format.is_note(placed.entry.op):
            yield placed


def index_of(
    kept: list[Kept], first: log_format.Header, recent_bytes: int, carried: Iterable[log_index.Known] = ()
) -> log_index.Index:
    """Return the index of a log up to its first file that is not covered.

    Args:
        kept: the covered files.
        first: the header of the first file that is not covered.
        recent_bytes: how many bytes of records the index may keep in memory.
        carried: writes that came with segments.
    """
    headers = [*(file.header for file in kept), first]
    before = log_index.Position(headers[0].epoch_before, headers[0].first_seq - 1)
    index = log_index.Index(before, recent_bytes, carried)
    for file in kept:
        for entry in file.heads:
            index.spans.note(entry.seq, entry.epoch)
            index.note_write(entry)
    index.last_seq = first.first_seq - 1
    return index


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a record stands: its file, and the offset."""

    path: Path
    offset: int


class StoredRecords:
    """Reads records from a log's files; remembers where readings ended, so that the next go on from there."""

    def __init__(self, folder: Path, owner: int) -> None:
        self._folder = folder
        self._owner = owner
        self._ends: collections.OrderedDict[int, _Place] = collections.OrderedDict()

    def read(self, first_seq: int, last_seq: int, max_bytes: int) -> list[log_format.Entry]:
        """Return records from `first_seq` on, those of one file, at most `max_bytes` of them, yet one.

        Raises:
            CutAwayError: the file that held it is gone, or no longer what was written.
        """
        place = self._place_of(first_seq)
        try:
            content = log_files.mapped(place.path)
            header = log_files.header_of(place.path, memoryview(content), self._owner)
        except (FileNotFoundError, errors.DataLossError) as gone:
            raise errors.CutAwayError(f"the log does not hold record {first_seq} any more: {gone}") from gone
        found: list[log_format.Entry] = []
        total, end = 0, place.offset
        for entry, behind in self._from(content, header.salt, place.offset, first_seq):
            total += entry.size
            if entry.seq > last_seq or (found and total > max_bytes):
                break
            found.append(entry)
            end = behind
        if not found:
            raise errors.CutAwayError(f"the log does not hold record {first_seq} any more")
        self._ends[found[-1].seq + 1] = _Place(place.path, end)
        if len(self._ends) > _CURSORS:
            self._ends.popitem(last=False)
        return found

    def forget(self) -> None:
        """Forget where records stand: the files were cut."""
        self._ends.clear()

    def _place_of(self, seq: int) -> _Place:
        older = [path for path in log_files.paths(self._folder) if log_files.first_seq_of(path) <= seq]
        if not older:
            raise errors.CutAwayError(f"the log does not hold record {seq} any more")
        known = self._ends.pop(seq, None)
        return known if known and known.path == older[-1] else _Place(older[-1], log_format.HEADER_BYTES)

    @staticmethod
    def _from(content: mmap.mmap | bytes, salt: int, at: int, seq: int) -> Iterator[log_format.Placed]:
        """Yield whole records, copied, from a seq on; ends at what is not as it was written."""
        data = memoryview(content)
        while head := log_format.parse_head(data, at, salt):
            if head.entry.seq >= seq and not log_format.is_note(head.entry.op):
                placed = log_format.parse(data, at, salt)
                if placed is None or placed.entry.seq != seq:
                    return
                yield placed._replace(entry=placed.entry._replace(payload=bytes(placed.entry.payload)))
                seq += 1
            at = head.end
