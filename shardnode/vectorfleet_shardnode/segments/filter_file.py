r"""The file of a sealed segment's filter indexes, memory-mapped.

```
"VFLTFIX\0", u32 version, u32 zero, u64 rows, u64 start and u64 bytes of the directory
arrays, each at a multiple of 8 bytes
the directory, JSON: whether all fields are here, and by field the start and the items of each array
```

Small segments have no such file: a field's index is then made in memory when it is first asked for.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from .. import errors, filters, mapped
from . import filter_gathering, filter_index

VERSION = 1
MIN_ROWS = 10_000
"""Rows below which a segment has no file: reading them all takes milliseconds, and happens once."""
MAX_FIELDS = 256
"""Fields that are stored; those that the most rows have."""

_MAGIC = b"VFLTFIX\0"
_HEADER = struct.Struct("<8sIIQQQ")
_KIND = mapped.Kind("filter indexes", _HEADER, _MAGIC, VERSION)
_SINGLE = ("present", "true", "false", "checks")
_POSTINGS = {"integers": "<i8", "fractions": "<f8", "large": "|u1", "strings": "<u8", "dates": "<i8"}

Piece = tuple[int, int]
"""Where an array is: its start in the file, and its items."""


class Directory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the arrays of each field are; `complete` where the rows have no other fields.

    Of `present`, `true`, `false` and `checks` there is one array, of postings keys, offsets and rows; those
    that are empty are left out.
    """

    complete: bool
    fields: dict[str, dict[str, tuple[Piece, ...]]]


def write(path: Path, metadata: Callable[[], Iterable[bytes]], rows: int) -> None:
    """Write the indexes of rows' metadata, in the order of the rows.

    Args:
        path: where to.
        metadata: gives each row's, from the first on, each time that it is called.
        rows: how many.

    Raises:
        OSError: the disk is full or failing.
    """
    chosen = filter_gathering.common(decoded(metadata()), MAX_FIELDS)
    found = filter_gathering.build(decoded(metadata()), frozenset(chosen.names))
    with path.open("wb") as target:
        target.write(bytes(_HEADER.size))
        output = _Output(target)
        directory = Directory(chosen.all, {name: output.field(found[name]) for name in chosen.names})
        start, content = target.tell(), msgspec.json.encode(directory)
        target.write(content)
        target.seek(0)
        target.write(_HEADER.pack(_MAGIC, VERSION, 0, rows, start, len(content)))


def decoded(metadata: Iterable[bytes]) -> Iterator[filters.Metadata | None]:
    """Yield metadata as objects, None for none."""
    decode = msgspec.json.Decoder().decode
    return (decode(content) if content else None for content in metadata)


class _Output:
    """Appends arrays to a file."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target

    def field(self, index: filter_index.FieldIndex) -> dict[str, tuple[Piece, ...]]:
        arrays = {name: [getattr(index, name)] for name in _SINGLE}
        for name in _POSTINGS:
            postings: filter_index.Postings = getattr(index, name)
            arrays[name] = [_encoded(postings.keys), postings.offsets, postings.rows]
        filled = {name: several for name, several in arrays.items() if len(several[0])}
        return {name: tuple(map(self._array, several)) for name, several in filled.items()}

    def _array(self, values: npt.NDArray[Any]) -> Piece:
        self._target.write(bytes(-self._target.tell() % 8))
        start = self._target.tell()
        self._target.write(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
        return start, len(values)


def _encoded(keys: filter_index.Keys) -> npt.NDArray[Any]:
    """Return keys as an array; integers that have no type of their own as lines of hexadecimals."""
    if isinstance(keys, np.ndarray):
        return keys
    return np.frombuffer("\n".join(map(hex, keys)).encode(), np.uint8)


class FilterFile:
    """The open file.

    Raises:
        DataLossError: it is not of this format, or of other rows.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self._path = path
        self._content, (_, stored, start, length) = _KIND.open(path)
        if stored != rows:
            raise errors.DataLossError(f"{path} is of {stored} rows; the segment has {rows}")
        try:
            directory = msgspec.json.decode(self._content[start : start + length].tobytes(), type=Directory)
        except msgspec.DecodeError as broken:
            raise errors.DataLossError(f"{path} has no readable directory: {broken}") from broken
        self._directory = directory

    def field(self, name: str) -> filter_index.FieldIndex | None:
        """Return the index of a field; None where it is not stored though rows may have it."""
        pieces = self._directory.fields.get(name)
        if pieces is None:
            return filter_index.EMPTY if self._directory.complete else None
        return filter_index.FieldIndex(
            present=self._single(pieces, "present", "<u4"),
            true=self._single(pieces, "true", "<u4"),
            false=self._single(pieces, "false", "<u4"),
            integers=self._postings(pieces, "integers"),
            fractions=self._postings(pieces, "fractions"),
            large=self._postings(pieces, "large"),
            strings=self._postings(pieces, "strings"),
            checks=self._single(pieces, "checks", "<u8"),
            dates=self._postings(pieces, "dates"),
        )

    def _single(self, pieces: dict[str, tuple[Piece, ...]], name: str, dtype: str) -> npt.NDArray[Any]:
        return self._array(pieces[name][0], dtype) if name in pieces else np.zeros(0, dtype)

    def _postings(self, pieces: dict[str, tuple[Piece, ...]], name: str) -> filter_index.Postings:
        dtype = _POSTINGS[name]
        if name not in pieces:
            return filter_index.nothing(dtype)
        keys, offsets, rows = pieces[name]
        found: filter_index.Keys = self._array(keys, dtype)
        if name == "large":
            found = [int(line, 16) for line in self._array(keys, dtype).tobytes().decode().split("\n")]
        return filter_index.Postings(found, self._array(offsets, "<u4"), self._array(rows, "<u4"))

    def _array(self, piece: Piece, dtype: str) -> npt.NDArray[Any]:
        start, items = piece
        stop = start + items * np.dtype(dtype).itemsize
        if stop > len(self._content):
            raise errors.DataLossError(f"{self._path} names bytes behind its end")
        return self._content[start:stop].view(dtype)
