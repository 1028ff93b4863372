r"""The postings of one text field of a sealed segment, in a file that is memory-mapped.

```
"VFLTTXT\0", u32 version (1), u32 zero, u64 rows, u64 terms, u64 postings, zeros to byte 64
u64[terms] hashes, ascending      u64[terms + 1] where each term's postings begin
u32[postings] rows                u32[postings] counts                 u32[rows] lengths
```
"""

import mmap
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import errors
from ..text import postings

VERSION = 1
_HEADER = struct.Struct("<8sIIQQQ")
_MAGIC = b"VFLTTXT\0"
_START = 64


def name_of(number: int) -> str:
    """Return the name of the file of the recipe's text field `number`."""
    return f"text-{number}.bin"


def write(path: Path, given: postings.Postings) -> None:
    """Write postings.

    Raises:
        OSError: the disk is full or failing.
    """
    header = _HEADER.pack(_MAGIC, VERSION, 0, len(given.lengths), len(given.terms), len(given.rows))
    with path.open("wb") as target:
        target.write(header.ljust(_START, b"\0"))
        for array, kind in (
            (given.terms, "<u8"),
            (given.starts, "<u8"),
            (given.rows, "<u4"),
            (given.counts, "<u4"),
            (given.lengths, "<u4"),
        ):
            target.write(np.ascontiguousarray(array, kind).data)


def read(path: Path, rows: int) -> postings.Postings:
    """Return the postings of a file of a segment of `rows` rows.

    Raises:
        DataLossError: the file is not of this format, or of another segment.
    """
    with path.open("rb") as source:
        data = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
    if len(data) < _START:
        raise errors.DataLossError(f"{path} is shorter than the header of a text file")
    magic, version, _, held, terms, count = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise errors.DataLossError(f"{path} is not a text file")
    if version != VERSION:
        raise errors.UnknownFormatError(f"{path} has format {version}; this program reads format {VERSION}")
    if held != rows or len(data) != _START + 8 * (2 * terms + 1) + 4 * (2 * count + rows):
        raise errors.DataLossError(f"{path} is not of a segment of {rows} rows, or cut")
    at = _START

    def take(kind: str, number: int) -> npt.NDArray[np.generic]:
        nonlocal at
        array = np.frombuffer(data, kind, number, at)
        at += array.nbytes
        return array

    return postings.Postings(
        take("<u8", terms),  # type: ignore[arg-type]
        take("<i8", terms + 1),  # type: ignore[arg-type]
        take("<u4", count),  # type: ignore[arg-type]
        take("<u4", count),  # type: ignore[arg-type]
        take("<u4", rows),  # type: ignore[arg-type]
    )
