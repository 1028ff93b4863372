r"""The bytes of a log file, and how a torn tail is told from damage. Pure: bytes in, entries out.

```
file    = header record*
header  = "VFLTLOG\0", u32 version, u32 salt, u64 first seq, u32 owner, u32 crc32c of these
record  = "VFR1", u32 payload length, u64 epoch, u64 seq, u32 op, u32 payload crc32c, u32 crc32c of these,
          payload
```
Each crc starts from the file's salt, so that bytes of a deleted file never pass for a record. After an
fsync, and before anyone hears of it, a mark with the last durable seq follows. So a bad record with a mark
for it further on was acknowledged once: that is damage. One without was never acknowledged: a torn tail.
The last record of a file that another follows says so, so that the loss of a whole file is noticed too.
"""

import dataclasses
import mmap
import struct
from collections.abc import Iterator, Sequence

import google_crc32c

from . import errors, records

VERSION = 1
MAX_PAYLOAD = 1 << 30
_FILE = struct.Struct("<8sIIQII")
_RECORD = struct.Struct("<4sIQQIII")
_FILE_MAGIC = b"VFLTLOG\0"
_RECORD_MAGIC = b"VFR1"
_OPS = frozenset(op.value for op in records.Op)
HEADER_BYTES = _FILE.size


@dataclasses.dataclass(frozen=True)
class Header:
    """What a log file says of itself: its checksum salt, the seq of its first record, and whose it is."""

    salt: int
    first_seq: int
    owner: int


@dataclasses.dataclass(frozen=True)
class Entry:
    """One record of the log, its checksums found right; `end` is the offset behind it."""

    epoch: int
    seq: int
    op: records.Op
    payload: memoryview
    end: int


def pack_header(header: Header) -> bytes:
    """Return the first bytes of a log file."""
    head = _FILE.pack(_FILE_MAGIC, VERSION, header.salt, header.first_seq, header.owner, 0)[:-4]
    return head + struct.pack("<I", google_crc32c.value(head))


def unpack_header(data: bytes) -> Header | None:
    """Read the start of a log file; None where no whole and undamaged header stands there.

    Raises:
        DataLossError: the file was written by a newer version.
    """
    if len(data) < _FILE.size:
        return None
    magic, version, salt, first_seq, owner, crc = _FILE.unpack_from(data)
    if magic != _FILE_MAGIC or crc != google_crc32c.value(bytes(data[: _FILE.size - 4])):
        return None
    if version != VERSION:
        raise errors.DataLossError(f"it has format {version}; this program reads format {VERSION}")
    return Header(salt, first_seq, owner)


def pack_record(
    salt: int, place: tuple[int, int], op: records.Op, payload: Sequence[bytes | memoryview]
) -> bytes:
    """Return a record's header; `place` is (epoch, seq).

    Raises:
        BadRequestError: the payload exceeds 1 GiB.
    """
    length = sum(map(len, payload))
    if length > MAX_PAYLOAD:
        raise errors.BadRequestError(
            f"the write needs {length} bytes of log; at most {MAX_PAYLOAD} go into one"
        )
    crc = salt
    for part in payload:
        crc = google_crc32c.extend(crc, bytes(part))
    head = _RECORD.pack(_RECORD_MAGIC, length, *place, op, crc, 0)[:-4]
    return head + struct.pack("<I", google_crc32c.extend(salt, head))


def entries(data: memoryview, salt: int) -> Iterator[Entry]:
    """Yield the records from the file's start until the first that is not whole and undamaged."""
    at = HEADER_BYTES
    while entry := parse(data, at, salt):
        yield entry
        at = entry.end


def parse(data: memoryview, at: int, salt: int) -> Entry | None:
    """Read the record at an offset; None where none is whole and undamaged there."""
    head = bytes(data[at : at + _RECORD.size])
    if len(head) < _RECORD.size:
        return None
    magic, length, epoch, seq, op, crc, head_crc = _RECORD.unpack(head)
    if magic != _RECORD_MAGIC or head_crc != google_crc32c.extend(salt, head[:-4]):
        return None
    payload = data[at + _RECORD.size : at + _RECORD.size + length]
    if len(payload) != length or crc != google_crc32c.extend(salt, bytes(payload)):
        return None
    if op not in _OPS:
        raise errors.DataLossError(f"record {seq} holds op {op}, which this program does not know")
    return Entry(epoch, seq, records.Op(op), payload, at + _RECORD.size + length)


def was_acknowledged(data: bytes | mmap.mmap, at: int, salt: int, seq: int) -> bool:
    """Tell whether a mark behind offset `at` says that record `seq` had reached the disk."""
    view = memoryview(data)
    while (at := data.find(_RECORD_MAGIC, at)) >= 0:
        entry = parse(view, at, salt)
        if entry is not None and entry.op is records.Op.MARK and entry.seq >= seq:
            return True
        at += 1
    return False
