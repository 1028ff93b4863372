r"""The bytes of a log file, and how a torn tail is told from damage. Pure: bytes in, entries out.

```
file    = header record*
header  = "VFLTLOG\0", u32 version, u32 salt, u64 first seq, u32 owner, u64 epoch before, u32 crc32c of these
record  = "VFR1", u32 payload length, u64 epoch, u64 seq, u32 op, u32 affected, 16 bytes write id,
          u32 payload crc32c, u32 crc32c of these, payload
```
Each crc starts from the file's salt, so that bytes of a deleted file never pass for a record. After an
fsync, and before anyone hears of it, a mark with the last durable seq follows, and with the commit index
that was known. So a bad record with a mark for it further on was on the disk once: that is damage. One
without never was: a torn tail. The last record of a file that another follows says so, so that the loss of
a whole file is noticed too. The header names the epoch of the record before the file's first one, so the
place at which a log begins is known though nothing is left of what was before.
"""

import mmap
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import google_crc32c

from .. import errors, records

VERSION = 1
MAX_PAYLOAD = 1 << 30
WRITE_ID_BYTES = 16
_FILE = struct.Struct("<8sIIQIQI")
_RECORD = struct.Struct("<4sIQQII16sII")
_MARK = struct.Struct("<Q")
_FILE_MAGIC = b"VFLTLOG\0"
_RECORD_MAGIC = b"VFR1"
_NO_ID = bytes(WRITE_ID_BYTES)
_OPS = {op.value: op for op in records.Op}
HEADER_BYTES = _FILE.size
RECORD_BYTES = _RECORD.size
"""Of a record without payload."""


class Header(NamedTuple):
    """What a log file says of itself.

    Attributes:
        salt: what its checksums start from.
        first_seq: of its first record.
        owner: whose it is.
        epoch_before: of the record before the first one; 0 where there never was one.
    """

    salt: int
    first_seq: int
    owner: int
    epoch_before: int = 0


class Head(NamedTuple):
    """What a record says beside its seq and its payload.

    Attributes:
        epoch: of the primary that wrote it.
        op: what it does.
        write_id: 16 bytes by which a write that is sent again is recognised; empty for none.
        affected: how many rows the write concerned, so that its repetition is answered alike.
    """

    epoch: int
    op: records.Op
    write_id: bytes = b""
    affected: int = 0


class Entry(NamedTuple):
    """One record of the log, as it is read and as it is shipped; see `Head`. Notes are never shipped."""

    epoch: int
    seq: int
    op: records.Op
    payload: bytes | memoryview
    write_id: bytes = b""
    affected: int = 0

    @property
    def head(self) -> Head:
        """All but seq and payload."""
        return Head(self.epoch, self.op, self.write_id, self.affected)

    @property
    def size(self) -> int:
        """Bytes that it takes in the log."""
        return RECORD_BYTES + len(self.payload)


class Placed(NamedTuple):
    """An entry, its checksums found right, and the offset behind it."""

    entry: Entry
    end: int


def pack_header(header: Header) -> bytes:
    """Return the first bytes of a log file."""
    salt, first_seq, owner, epoch_before = header
    head = _FILE.pack(_FILE_MAGIC, VERSION, salt, first_seq, owner, epoch_before, 0)[:-4]
    return head + struct.pack("<I", google_crc32c.value(head))


def unpack_header(data: bytes) -> Header | None:
    """Read the start of a log file; None where no whole and undamaged header stands there.

    Raises:
        DataLossError: the file was written by a newer version.
    """
    if len(data) < _FILE.size:
        return None
    magic, version, salt, first_seq, owner, epoch_before, crc = _FILE.unpack_from(data)
    if magic != _FILE_MAGIC or crc != google_crc32c.value(bytes(data[: _FILE.size - 4])):
        return None
    if version != VERSION:
        raise errors.UnknownFormatError(f"it has format {version}; this program reads format {VERSION}")
    return Header(salt, first_seq, owner, epoch_before)


def pack_record(salt: int, seq: int, head: Head, payload: Sequence[bytes | memoryview]) -> bytes:
    """Return a record's bytes before its payload.

    Raises:
        BadRequestError: the payload exceeds 1 GiB, or the write id is not of 16 bytes.
    """
    length = sum(map(len, payload))
    if length > MAX_PAYLOAD:
        raise errors.BadRequestError(
            f"the write needs {length} bytes of log; at most {MAX_PAYLOAD} go into one"
        )
    if len(head.write_id) not in (0, WRITE_ID_BYTES):
        raise errors.BadRequestError(
            f"a write id has {len(head.write_id)} bytes; it must have {WRITE_ID_BYTES}"
        )
    crc = salt
    for part in payload:
        crc = google_crc32c.extend(crc, bytes(part))
    said = (head.epoch, seq, head.op, head.affected, head.write_id or _NO_ID)
    packed = _RECORD.pack(_RECORD_MAGIC, length, *said, crc, 0)[:-4]
    return packed + struct.pack("<I", google_crc32c.extend(salt, packed))


def pack_mark(salt: int, place: tuple[int, int], committed: int) -> bytes:
    """Return the note that all up to `place`, (epoch, seq), is on the disk; `committed`: the commit index."""
    payload = _MARK.pack(committed)
    return pack_record(salt, place[1], Head(place[0], records.Op.MARK), [payload]) + payload


def committed_of(mark: Entry) -> int:
    """Return the commit index that a mark carries.

    Raises:
        DataLossError: it is not a mark of this format.
    """
    if len(mark.payload) != _MARK.size:
        raise errors.DataLossError(f"the mark of seq {mark.seq} has {len(mark.payload)} bytes of payload")
    committed: int = _MARK.unpack(mark.payload)[0]
    return committed


def entries(data: memoryview, salt: int) -> Iterator[Placed]:
    """Yield the records from the file's start until the first that is not whole and undamaged."""
    at = HEADER_BYTES
    while placed := parse(data, at, salt):
        yield placed
        at = placed.end


def heads(data: memoryview, salt: int, at: int = HEADER_BYTES) -> Iterator[Placed]:
    """Yield the same from an offset, but without payloads, whose checksums are not looked at: quick."""
    while placed := parse_head(data, at, salt):
        yield placed
        at = placed.end


def parse(data: memoryview, at: int, salt: int) -> Placed | None:
    """Read the record at an offset; None where none is whole and undamaged there.

    Raises:
        DataLossError: it is undamaged, and this program does not know what it does.
    """
    placed = parse_head(data, at, salt)
    if placed is None:
        return None
    entry, end = placed
    payload = data[at + RECORD_BYTES : end]
    wanted: int = struct.unpack_from("<I", data, at + RECORD_BYTES - 8)[0]
    if wanted != google_crc32c.extend(salt, bytes(payload)):
        return None
    if entry.op not in _OPS:
        raise errors.UnknownFormatError(
            f"record {entry.seq} holds op {entry.op}, which this program does not know"
        )
    return Placed(entry._replace(op=_OPS[entry.op], payload=payload), end)


def parse_head(data: memoryview, at: int, salt: int) -> Placed | None:
    """Read the record at an offset without its payload, whose checksum is not looked at."""
    packed = bytes(data[at : at + RECORD_BYTES])
    if len(packed) < RECORD_BYTES:
        return None
    magic, length, epoch, seq, op, affected, write_id, _, crc = _RECORD.unpack(packed)
    if magic != _RECORD_MAGIC or crc != google_crc32c.extend(salt, packed[:-4]):
        return None
    end = at + RECORD_BYTES + length
    if end > len(data):
        return None
    return Placed(Entry(epoch, seq, op, b"", b"" if write_id == _NO_ID else write_id, affected), end)


def is_note(op: int) -> bool:
    """Tell whether a record of this op is a note between records, which takes no number of its own."""
    return op in (records.Op.MARK, records.Op.NEXT)


def was_acknowledged(data: bytes | mmap.mmap, at: int, salt: int, seq: int) -> bool:
    """Tell whether a mark behind offset `at` says that record `seq` had reached the disk."""
    view = memoryview(data)
    while (at := data.find(_RECORD_MAGIC, at)) >= 0:
        placed = parse(view, at, salt)
        if placed is not None and placed.entry.op is records.Op.MARK and placed.entry.seq >= seq:
            return True
        at += 1
    return False
