r"""The sparse values of a sealed segment: by row and by dimension, in two files that are memory-mapped.

```
sparse.bin            "VFLTSPR\0", u32 version (1), u32 zero, u64 rows, u64 pairs, u64[rows + 1] offsets,
                      pairs of u32 index and float32 value, those of one row together, as they were sent
sparse-postings.bin   "VFLTSPP\0", u32 version (1), u32 zero, u64 rows, u64 dimensions, u64 pairs,
                      u64[dimensions + 1] where each dimension's postings begin, u32[dimensions] dimensions,
                      ascending, u32[pairs] rows, ascending within a dimension, float32[pairs] values
```
Where no row has sparse values there are no files. Both are written a piece at a time, so memory does not grow
with the segment; nothing is written through mapped pages, where a full disk would be a SIGBUS.
"""

import dataclasses
import mmap
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import errors, ragged, sparse
from ..arrays import RowNumbers
from . import descriptor

VERSION = 1
ROWS, POSTINGS = "sparse.bin", "sparse-postings.bin"
_ROWS_HEADER, _POSTINGS_HEADER = struct.Struct("<8sIIQQ"), struct.Struct("<8sIIQQQ")
_ROWS_MAGIC, _POSTINGS_MAGIC = b"VFLTSPR\0", b"VFLTSPP\0"
_PIECE, _SORTED = 1 << 18, 1 << 20
"""Pairs that are read at a time, and that are sorted at a time."""

Source = tuple[ragged.Ragged | None, RowNumbers]
"""The column of one part, None where it has none, and the rows of the part that are wanted."""


@dataclasses.dataclass(frozen=True)
class SealedSparse:
    """The sparse values of a sealed segment, open: by row as they were sent, and by dimension."""

    stored: ragged.Ragged
    postings: sparse.Postings


def write(folder: Path, sources: Sequence[Source], order: RowNumbers) -> int:
    """Write the sources' rows, concatenated and in this order; returns how many pairs they have.

    Raises:
        OSError: the disk is full or failing.
    """
    counts = np.concatenate(
        [np.zeros(len(rows), np.int64) if column is None else column.counts[rows] for column, rows in sources]
    )[order]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    pairs = int(offsets[-1])
    if pairs:
        with (folder / ROWS).open("wb") as target:
            target.write(_ROWS_HEADER.pack(_ROWS_MAGIC, VERSION, 0, len(order), pairs))
            target.write(offsets.astype("<u8").data)
            for at, stop in _pieces(offsets):
                target.write(np.ascontiguousarray(_gathered(sources, order[at:stop])).view(np.uint8).data)
        _write_postings(folder / POSTINGS, _read_rows(folder / ROWS, len(order)))
    return pairs


def _pieces(offsets: RowNumbers) -> Iterator[tuple[int, int]]:
    """Yield runs of rows that have about `_PIECE` pairs, one row at least."""
    at, rows = 0, len(offsets) - 1
    while at < rows:
        stop = max(at + 1, int(np.searchsorted(offsets, offsets[at] + _PIECE, side="right")) - 1)
        yield at, min(stop, rows)
        at = stop


def _gathered(sources: Sequence[Source], wanted: RowNumbers) -> sparse.Pairs:
    """Return the pairs of rows of the concatenated sources, in this order."""
    starts = np.cumsum([0, *(len(rows) for _, rows in sources)])
    owners = np.searchsorted(starts, wanted, side="right") - 1
    places, pieces = [], []
    for number, (column, rows) in enumerate(sources):
        mine = np.flatnonzero(owners == number)
        places.append(mine)
        own = rows[wanted[mine] - starts[number]]
        pieces.append(sparse.none(len(own)) if column is None else column.take(own))
    woven: sparse.Pairs = ragged.concatenated(pieces).take(np.argsort(np.concatenate(places))).items
    return woven


def _write_postings(path: Path, column: ragged.Ragged) -> None:
    """Write a column by dimension: of as many dimensions at a time as have `_SORTED` pairs, one at least."""
    dimensions, counts = _counted(column)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    pairs = int(starts[-1])
    with path.open("wb") as target:
        target.write(_POSTINGS_HEADER.pack(_POSTINGS_MAGIC, VERSION, 0, column.rows, len(dimensions), pairs))
        target.write(starts.astype("<u8").data)
        target.write(dimensions.data)
        home, at = target.tell(), 0
        while at < len(dimensions):
            stop = max(at + 1, int(np.searchsorted(starts, starts[at] + _SORTED, side="right")) - 1)
            rows, values = _of_dimensions(column, dimensions[at], dimensions[stop - 1])
            target.seek(home + 4 * int(starts[at]))
            target.write(rows.data)
            target.seek(home + 4 * (pairs + int(starts[at])))
            target.write(values.data)
            at = stop


def _of_dimensions(
    column: ragged.Ragged, least: np.uint32, greatest: np.uint32
) -> tuple[sparse.Indices, sparse.Values]:
    """Return rows and values of a range of dimensions, by dimension and row."""
    rows, pairs = [], []
    for first, stop in _pieces(column.offsets):
        piece = column.items[column.offsets[first] : column.offsets[stop]]
        chosen = np.flatnonzero((piece["index"] >= least) & (piece["index"] <= greatest))
        pairs.append(piece[chosen])
        owners = np.repeat(np.arange(first, stop, dtype=np.uint32), column.counts[first:stop])
        rows.append(owners[chosen])
    every = np.concatenate(pairs)
    order = np.argsort(every["index"], kind="stable")
    return np.concatenate(rows)[order], every["value"][order]


def _counted(column: ragged.Ragged) -> tuple[sparse.Indices, RowNumbers]:
    """Return the dimensions of a column, ascending, and how many pairs each has."""
    dimensions, counts = np.zeros(0, np.uint32), np.zeros(0, np.int64)
    for first, stop in _pieces(column.offsets):
        piece = column.items["index"][column.offsets[first] : column.offsets[stop]]
        found, often = np.unique(piece, return_counts=True)
        merged, places = np.unique(np.concatenate([dimensions, found]), return_inverse=True)
        summed = np.bincount(places, np.concatenate([counts, often]), len(merged))
        dimensions, counts = merged, summed.astype(np.int64)
    return dimensions, counts


def open_files(folder: Path, described: descriptor.Descriptor) -> SealedSparse | None:
    """Open the files of a segment, which were checked; None where its rows have no sparse values.

    Raises:
        DataLossError: a file is not of its format, or they are not of one segment.
    """
    if not described.sparse_values:
        return None
    stored = _read_rows(folder / ROWS, described.rows)
    postings = _read_postings(folder / POSTINGS, described.rows)
    if not len(stored.items) == len(postings.rows) == described.sparse_values:
        raise errors.DataLossError(f"{folder / POSTINGS} does not fit {ROWS}")
    return SealedSparse(stored, postings)


def _read_rows(path: Path, rows: int) -> ragged.Ragged:
    data = _mapped(path, _ROWS_HEADER, _ROWS_MAGIC)
    _, _, _, held, pairs = _ROWS_HEADER.unpack_from(data)
    at = _ROWS_HEADER.size
    if held != rows or len(data) != at + 8 * (rows + 1) + sparse.PAIR.itemsize * pairs:
        raise errors.DataLossError(f"{path} is not of a segment of {rows} rows, or cut")
    offsets = np.frombuffer(data, "<i8", rows + 1, at)
    items = np.frombuffer(data, sparse.PAIR, pairs, at + 8 * (rows + 1))
    if offsets[0] != 0 or offsets[-1] != pairs or (np.diff(offsets) < 0).any():
        raise errors.DataLossError(f"{path} holds offsets that do not rise from 0 to {pairs}")
    return ragged.Ragged(offsets, items)


def _read_postings(path: Path, rows: int) -> sparse.Postings:
    data = _mapped(path, _POSTINGS_HEADER, _POSTINGS_MAGIC)
    _, _, _, held, dimensions, pairs = _POSTINGS_HEADER.unpack_from(data)
    at = _POSTINGS_HEADER.size
    if held != rows or len(data) != at + 8 * (dimensions + 1) + 4 * dimensions + 8 * pairs:
        raise errors.DataLossError(f"{path} is not of a segment of {rows} rows, or cut")
    starts = np.frombuffer(data, "<i8", dimensions + 1, at)
    at += starts.nbytes
    indices = np.frombuffer(data, "<u4", dimensions, at)
    at += indices.nbytes
    numbers, values = np.frombuffer(data, "<u4", pairs, at), np.frombuffer(data, "<f4", pairs, at + 4 * pairs)
    if starts[0] != 0 or starts[-1] != pairs or (np.diff(starts) < 0).any():
        raise errors.DataLossError(f"{path} holds offsets that do not rise from 0 to {pairs}")
    if numbers.max(initial=0) >= rows:
        raise errors.DataLossError(f"{path} names rows that the segment does not have")
    return sparse.Postings(indices, starts, numbers, values, rows)


def _mapped(path: Path, header: struct.Struct, magic: bytes) -> mmap.mmap:
    """Map a file whose header is sound as far as its version."""
    if path.stat().st_size < header.size:
        raise errors.DataLossError(f"{path} is shorter than the header of a file of sparse values")
    with path.open("rb") as source:
        data = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
    if data[: len(magic)] != magic:
        raise errors.DataLossError(f"{path} is no file of sparse values")
    [version] = struct.unpack_from("<I", data, len(magic))
    if version != VERSION:
        raise errors.DataLossError(f"{path} has format {version}; this program reads format {VERSION}")
    return data
