"""The ids of recent writes as a file: what a replica that copies segments must recognise like its primary.

```
VFLTIDS and a zero byte, u32 version, u32 zero, u64 n
u64[n] seq, ascending    u64[n] epoch    u32[n] how many rows the write concerned    n ids of 16 bytes
```
A part of its checksum is in its name, so that no two that differ have one name; the manifest has all of it.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import errors, files
from ..log import log_index
from ..segments import descriptor, manifest

VERSION = 1
_MAGIC = b"VFLTIDS\0"
_HEADER = struct.Struct("<8sIIQ")
_ID_BYTES = 16
_EACH = 8 + 8 + 4 + _ID_BYTES


def write(folder: Path, known: Sequence[log_index.Known]) -> manifest.WriteIds | None:
    """Write ids into a folder, durable when this returns; None where there is none to write.

    Raises:
        OSError: the disk is full or failing.
    """
    if not known:
        return None
    content = _pack(known)
    sums = descriptor.FileSum(bytes=len(content), sha256=files.sha256_of_bytes(content))
    listed = manifest.WriteIds(file=f"{manifest.WRITE_IDS}{sums.sha256[:16]}.bin", content=sums)
    files.write_durably(folder / listed.file, content, "write-ids")
    return listed


def read(folder: Path, listed: manifest.WriteIds | None) -> list[log_index.Known]:
    """Return the ids that a folder's manifest lists.

    Raises:
        DataLossError: the file is missing, not as it was written, or of a newer version.
    """
    if listed is None:
        return []
    path = folder / listed.file
    descriptor.check(path, listed.content, f"file {path} of write ids")
    return _parse(path.read_bytes(), path)


def _pack(known: Sequence[log_index.Known]) -> bytes:
    writes = [write for _, write in known]
    return b"".join(
        (
            _HEADER.pack(_MAGIC, VERSION, 0, len(known)),
            np.array([write.seq for write in writes], "<u8").tobytes(),
            np.array([write.epoch for write in writes], "<u8").tobytes(),
            np.array([write.affected for write in writes], "<u4").tobytes(),
            *(write_id for write_id, _ in known),
        )
    )


def _parse(content: bytes, path: Path) -> list[log_index.Known]:
    if len(content) < _HEADER.size:
        raise errors.DataLossError(f"file {path} of write ids has no header")
    magic, version, _, count = _HEADER.unpack_from(content)
    if magic != _MAGIC or (version == VERSION and len(content) != _HEADER.size + count * _EACH):
        raise errors.DataLossError(f"file {path} holds no write ids")
    if version != VERSION:
        raise errors.UnknownFormatError(f"{path} has format {version}; this program reads format {VERSION}")
    at, columns = _HEADER.size, []
    for kind in ("<u8", "<u8", "<u4"):
        columns.append(np.frombuffer(content, kind, count, at).tolist())
        at += count * np.dtype(kind).itemsize
    seqs, epochs, affected = columns
    ids = [content[start : start + _ID_BYTES] for start in range(at, len(content), _ID_BYTES)]
    writes = map(log_index.Write, seqs, affected, epochs)
    return list(zip(ids, writes, strict=True))
