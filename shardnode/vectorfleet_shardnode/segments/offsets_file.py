r"""A file of offsets, memory-mapped: where the items of each row begin in the file of vectors beside it.

```
"VFLTOFF\0", u32 version, u32 zero, u64 rows, u64[rows + 1] offsets, from 0, never falling
```
"""

import struct
from pathlib import Path

import numpy as np

from .. import errors
from ..arrays import RowNumbers

VERSION = 1
_HEADER = struct.Struct("<8sIIQ")
_MAGIC = b"VFLTOFF\0"


def write(path: Path, offsets: RowNumbers) -> None:
    """Write the offsets of len(offsets) - 1 rows."""
    header = _HEADER.pack(_MAGIC, VERSION, 0, len(offsets) - 1)
    path.write_bytes(header + offsets.astype("<u8").tobytes())


def read(path: Path) -> RowNumbers:
    """Return the offsets, mapped.

    Raises:
        DataLossError: the file is not of this format.
    """
    size = path.stat().st_size
    with path.open("rb") as source:
        head = source.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(_MAGIC):
        raise errors.DataLossError(f"{path} is not an offsets file")
    _, version, _, rows = _HEADER.unpack(head)
    if version != VERSION:
        raise errors.UnknownFormatError(f"{path} has format {version}; this program reads format {VERSION}")
    if size != _HEADER.size + (rows + 1) * 8:
        raise errors.DataLossError(f"{path} has {size} bytes; {rows} rows need another size")
    offsets: RowNumbers = np.memmap(path, "<i8", "r", offset=_HEADER.size)
    if offsets[0] != 0 or (np.diff(offsets) < 0).any():
        raise errors.DataLossError(f"{path} holds offsets that do not rise from 0")
    return offsets.view(np.ndarray)
