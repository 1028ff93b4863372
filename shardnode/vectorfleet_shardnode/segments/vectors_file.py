r"""A file of vectors, memory-mapped: one page of header, then float32 values, row after row.

```
"VFLTVEC\0", u32 version, u32 dimensions, u64 rows, zeros to 4096, float32[rows x dimensions]
```
FAISS reads the same pages: the header that it expects before the values is written into a private copy of
the header page, never into the file.
"""

import mmap
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from .. import errors
from ..arrays import Vectors

VERSION = 1
_HEADER = struct.Struct("<8sIIQ")
_MAGIC = b"VFLTVEC\0"
_PAGE = 4096


def write(path: Path, dimensions: int, rows: int, chunks: Iterable[Vectors]) -> None:
    """Write a file of `rows` vectors that come in chunks of (some rows, dimensions)."""
    with path.open("wb") as target:
        target.write(_HEADER.pack(_MAGIC, VERSION, dimensions, rows).ljust(_PAGE, b"\0"))
        for chunk in chunks:
            target.write(np.ascontiguousarray(chunk, "<f4").data)


class VectorsFile:
    """An open file of vectors.

    Raises:
        DataLossError: the file is not of this format, or its length is not what its header says.
    """

    def __init__(self, path: Path) -> None:
        if path.stat().st_size < _PAGE:
            raise errors.DataLossError(f"{path} is shorter than the header of a vectors file")
        with path.open("rb") as source:
            # A private mapping: pages that are not written to stay the file's own, shared and evictable.
            self._map = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_COPY)
        self.rows, self.dimensions = _read_header(path, self._map)
        values = np.frombuffer(self._map, np.float32, offset=_PAGE)
        values.flags.writeable = False
        self.vectors: Vectors = values.reshape(self.rows, self.dimensions)

    def expect_few(self) -> None:
        """Tell the kernel that few vectors are read, here and there, so that it reads no others ahead."""
        self._map.madvise(mmap.MADV_RANDOM)

    def faiss_index(self, metric: int) -> Any:
        """Return FAISS's flat index over these pages; it is valid as long as this object lives."""
        header = _faiss_header(self.rows, self.dimensions, metric)
        self._map[_PAGE - len(header) : _PAGE] = header
        pages = np.frombuffer(self._map, np.uint8, offset=_PAGE - len(header))
        reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(pages), pages.size)
        return faiss.read_index(reader, faiss.IO_FLAG_MMAP_IFC)


def _read_header(path: Path, data: mmap.mmap) -> tuple[int, int]:
    magic, version, dimensions, rows = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise errors.DataLossError(f"{path} is not a vectors file")
    if version != VERSION:
        raise errors.UnknownFormatError(f"{path} has format {version}; this program reads format {VERSION}")
    if len(data) != _PAGE + rows * dimensions * 4:
        raise errors.DataLossError(
            f"{path} has {len(data)} bytes; {rows} rows of {dimensions} dimensions need another size"
        )
    return rows, dimensions


def _faiss_header(rows: int, dimensions: int, metric: int) -> bytes:
    """Return what FAISS writes before the values of a flat index that holds `rows` rows."""
    header = bytearray(faiss.serialize_index(faiss.IndexFlat(dimensions, metric)).tobytes())
    struct.pack_into("<q", header, 8, rows)  # ntotal, behind the type and the dimension
    struct.pack_into("<q", header, len(header) - 8, rows * dimensions)  # how many floats follow
    return bytes(header)
