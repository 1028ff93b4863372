"""The write-ahead log: what is acknowledged comes back, torn tails are cut, damage is refused."""

import errno
import os
import threading

import google_crc32c
import numpy as np
import pytest

from vectorfleet_shardnode import errors, files, records
from vectorfleet_shardnode.log import high_water, log_files, log_format, recovery, wal


class Waiter:
    """Takes the committer's word."""

    def __init__(self):
        self.durable_seq = 0
        self.failure = None
        self.changed = threading.Condition()

    def durable(self, seq):
        with self.changed:
            self.durable_seq = seq
            self.changed.notify_all()

    def failed(self, failure):
        with self.changed:
            self.failure = failure
            self.changed.notify_all()

    def wait(self, seq):
        with self.changed:
            assert self.changed.wait_for(lambda: self.durable_seq >= seq or self.failure, 10)
        if self.failure:
            raise self.failure


def put(number, rows=2):
    """Return a record whose content tells its number."""
    vectors = np.full((rows, 3), number, np.float32)
    return records.Put(
        "né", records.Rows([f"id{number}-{row}" for row in range(rows)], vectors, [b'{"a":1}', b""][:rows])
    )


def append(opened, number, epoch=1, write_id=b""):
    """Append the record of a number; returns its seq."""
    op, payload = records.encode(put(number))
    return opened.append(log_format.Head(epoch, op, write_id, number), payload)


def open_log(folder, **expected):
    """Return a log to append to, and who hears of its commits."""
    waiter = Waiter()
    if not log_files.paths(folder):
        log_files.create(folder, 1)
    found = recovery.recover(folder, recovery.Expected(**expected), lambda *_: None)
    listeners = wal.Listeners(waiter.durable, waiter.failed)
    alone = expected.get("alone", True)
    return wal.Log(folder, found.index, listeners, alone=alone, committed=found.committed), waiter


def fill(folder, count):
    """Write records 1 to `count`, each acknowledged before the next; returns where each one ends."""
    opened, waiter = open_log(folder)
    ends = []
    for number in range(1, count + 1):
        append(opened, number)
        waiter.wait(number)
        ends.append(opened.bytes_in_file)
    opened.close()
    return ends


def read(folder, covered=0, **expected):
    """Recover a log; returns {seq: record} and what was found."""
    seen = {}
    wanted = recovery.Expected(covered, **expected)
    found = recovery.recover(folder, wanted, lambda place, record: seen.__setitem__(place.seq, record))
    return seen, found


def test_records_come_back_bit_for_bit_in_order(tmp_path):
    """What was appended is replayed with the same ids, vectors and metadata."""
    fill(tmp_path, 3)
    seen, found = read(tmp_path)
    assert list(seen) == [1, 2, 3]
    assert (found.index.last, found.committed, found.torn_bytes) == ((1, 3), 3, 0)
    assert seen[2].namespace == "né"
    assert seen[2].rows.ids == ["id2-0", "id2-1"]
    assert seen[2].rows.metadata == [b'{"a":1}', b""]
    assert seen[2].rows.vectors.tobytes() == put(2).rows.vectors.tobytes()


def test_r02_a_tail_torn_at_any_byte_is_cut_and_counted(tmp_path):
    """However much of a last record is missing that was never on the disk; appending goes on."""
    first, last = fill(tmp_path, 2)
    [path] = log_files.paths(tmp_path)
    whole = path.read_bytes()
    mark = len(log_format.pack_mark(0, (1, 0), 0))
    for length in range(first - mark, last - mark):
        path.write_bytes(whole[:length])
        high_water.HighWater(tmp_path, 0).note(1)
        seen, found = read(tmp_path)
        assert list(seen) == [1]
        assert found.torn_bytes + path.stat().st_size == length
        opened, waiter = open_log(tmp_path)
        append(opened, 9)
        waiter.wait(2)
        opened.close()
        assert read(tmp_path)[0][2].rows.ids == ["id9-0", "id9-1"]


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"VFR1" + b"\xff" * 100, os.urandom(700)])
def test_r02_a_tail_of_rubbish_is_cut(tmp_path, tail):
    """Zeros or garbage that a power cut left behind the last record lose nothing."""
    fill(tmp_path, 2)
    [path] = log_files.paths(tmp_path)
    path.write_bytes(path.read_bytes() + tail)
    seen, found = read(tmp_path)
    assert list(seen) == [1, 2]
    assert found.torn_bytes == len(tail)


def test_r03_a_flipped_bit_in_any_acknowledged_byte_is_refused(tmp_path):
    """No byte of acknowledged records can change unnoticed, and none leads to a silent cut."""
    ends = fill(tmp_path, 2)
    [path] = log_files.paths(tmp_path)
    whole = path.read_bytes()
    mark = len(log_format.pack_mark(0, (1, 0), 0))
    own_bytes = [
        at for at in range(log_format.HEADER_BYTES, ends[1] - mark) if not ends[0] - mark <= at < ends[0]
    ]
    for at in [*range(log_format.HEADER_BYTES), *own_bytes]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(errors.DataLossError, match=path.name):
            read(tmp_path)
        assert path.stat().st_size == len(whole)


def test_a_record_of_a_deleted_file_never_passes(tmp_path):
    """Bytes of another log file behind the tail are rubbish, though they are well-formed there."""
    other = tmp_path / "other"
    other.mkdir()
    fill(other, 3)
    fill(tmp_path, 1)
    [path] = log_files.paths(tmp_path)
    stale = log_files.paths(other)[0].read_bytes()[log_format.HEADER_BYTES :]
    path.write_bytes(path.read_bytes() + stale)
    assert list(read(tmp_path)[0]) == [1]


def test_what_segments_cover_is_not_replayed(tmp_path):
    """Records up to the covered seq are read but not applied."""
    fill(tmp_path, 4)
    assert list(read(tmp_path, covered=3)[0]) == [4]


def test_rotation_keeps_order_and_trimming_keeps_what_is_not_covered(tmp_path):
    """A file is deleted only once every record in it is covered."""
    opened, waiter = open_log(tmp_path)
    for number in range(1, 7):
        append(opened, number)
        if number % 2 == 0:
            opened.rotate()
    waiter.wait(6)
    opened.trim(3)
    assert [int(path.stem) for path in log_files.paths(tmp_path)] == [3, 5, 7]
    opened.trim(4)
    assert [int(path.stem) for path in log_files.paths(tmp_path)] == [5, 7]
    opened.close()
    assert list(read(tmp_path, covered=4)[0]) == [5, 6]


def test_a_missing_file_is_refused(tmp_path):
    """A gap is named, at the start, in the middle and where the folder is empty."""
    opened, _waiter = open_log(tmp_path)
    for number in range(1, 4):
        append(opened, number)
        opened.rotate()
    opened.close()
    first, second, *_ = log_files.paths(tmp_path)
    with pytest.raises(errors.DataLossError, match="segments reach to seq 9"):
        read(tmp_path, covered=9)
    second.unlink()
    with pytest.raises(errors.DataLossError, match="records from 2 on are lost"):
        read(tmp_path)
    first.unlink()
    with pytest.raises(errors.DataLossError, match="records 1 to 2 are missing"):
        read(tmp_path)
    for path in log_files.paths(tmp_path):
        path.unlink()
    with pytest.raises(errors.DataLossError, match="is gone"):
        read(tmp_path)


def test_damage_in_an_older_file_is_never_a_torn_tail(tmp_path):
    """A file that another follows was whole once, so a short one is damage."""
    opened, _ = open_log(tmp_path)
    append(opened, 1)
    opened.rotate()
    opened.close()
    older = log_files.paths(tmp_path)[0]
    os.truncate(older, log_format.HEADER_BYTES + 30)
    with pytest.raises(errors.DataLossError, match="record 1 is lost"):
        read(tmp_path)


def test_a_file_whose_creation_was_cut_short_does_not_count(tmp_path):
    """Rotation that died while writing the new header lost no record: the file has no final name yet."""
    fill(tmp_path, 2)
    path = log_files.path_of(tmp_path, 3)
    path.with_name(files.TEMPORARY + path.name).write_bytes(b"VFLT")
    assert list(read(tmp_path)[0]) == [1, 2]
    assert len(log_files.paths(tmp_path)) == 1


def test_a_newest_file_that_lost_its_header_is_refused(tmp_path):
    """A file gets its name with its header durable, so one without was cut, and its records with it."""
    fill(tmp_path, 2)
    [path] = log_files.paths(tmp_path)
    os.truncate(path, log_format.HEADER_BYTES - 1)
    with pytest.raises(errors.DataLossError, match=f"header of log file {path.name} is damaged"):
        read(tmp_path)
    assert path.stat().st_size == log_format.HEADER_BYTES - 1


def test_a_newest_file_that_went_missing_is_refused(tmp_path):
    """The file before it says that it goes on, whether or not anything was written to the new one."""
    opened, _ = open_log(tmp_path)
    append(opened, 1)
    opened.rotate()
    opened.close()
    older, newest = log_files.paths(tmp_path)
    newest.unlink()
    with pytest.raises(errors.DataLossError, match=f"{newest.name} is missing, in which {older.name} goes"):
        read(tmp_path)


def test_an_old_file_that_segments_cover_may_be_missing(tmp_path):
    """Deletions are not ordered: after a power cut any of the files may be there still. None is read."""
    opened, _ = open_log(tmp_path)
    for number in range(1, 4):
        append(opened, number)
        opened.rotate()
    opened.close()
    log_files.paths(tmp_path)[1].unlink()
    assert read(tmp_path, covered=3)[1].index.last_seq == 3


def test_what_is_replayed_was_forced_to_the_disk_first(tmp_path, monkeypatch):
    """A killed process may leave records that no fsync covered; no reader sees what a power cut can take."""
    fill(tmp_path, 1)
    synced = []
    monkeypatch.setattr(files, "fsync_path", synced.append)
    read(tmp_path)
    assert synced == log_files.paths(tmp_path)


def test_the_log_reaches_what_the_manifest_knows_of(tmp_path):
    """Segments may know of writes that only the log holds; without them it is refused."""
    fill(tmp_path, 2)
    assert read(tmp_path, covered=1, durable_seq=2)[1].index.last_seq == 2
    with pytest.raises(errors.DataLossError, match="segments reach to seq 3"):
        read(tmp_path, covered=1, durable_seq=3)


def test_a_file_of_another_folder_is_refused(tmp_path):
    """However well-formed it is."""
    fill(tmp_path, 1)
    with pytest.raises(errors.DataLossError, match="is of another folder"):
        read(tmp_path, owner=7)


def test_a_disk_that_fails_while_a_new_file_is_made_fails_the_log(tmp_path, monkeypatch):
    """The new file may be there or not, so appending to the old one could give one seq to two records."""
    opened, _ = open_log(tmp_path)
    append(opened, 1)

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "fsync_path", fail)
    with pytest.raises(errors.LogFailedError):
        opened.rotate()
    with pytest.raises(errors.LogFailedError):
        append(opened, 2)
    opened.close()


def test_a_new_file_whose_name_may_be_lost_fails_the_log(tmp_path, monkeypatch):
    """The file is there: if the old one went on, two files would hold records of the same seqs."""
    opened, waiter = open_log(tmp_path)
    append(opened, 1)
    waiter.wait(1)
    real = files.fsync_path

    def fail_for_folders(path):
        if path.is_dir():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path)

    monkeypatch.setattr(files, "fsync_path", fail_for_folders)
    with pytest.raises(errors.LogFailedError):
        opened.rotate()
    monkeypatch.setattr(files, "fsync_path", real)
    with pytest.raises(errors.LogFailedError):
        append(opened, 2)
    opened.close()
    assert list(read(tmp_path)[0]) == [1]


def test_a_newer_format_is_refused_and_named(tmp_path):
    """A program never guesses at a format it does not know."""
    fill(tmp_path, 1)
    [path] = log_files.paths(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[8] = 2
    whole[36:40] = google_crc32c.value(bytes(whole[:36])).to_bytes(4, "little")
    path.write_bytes(bytes(whole))
    with pytest.raises(errors.DataLossError, match="format 2"):
        read(tmp_path)


def test_one_fsync_serves_all_that_wait(tmp_path, monkeypatch):
    """Records that come during an fsync share the next one, and none is acknowledged before its own."""
    opened, waiter = open_log(tmp_path)
    entered, release, calls = threading.Event(), threading.Event(), []

    def slow(descriptor):
        calls.append(descriptor)
        entered.set()
        assert release.wait(10)

    monkeypatch.setattr(files, "fsync", slow)
    append(opened, 1)
    assert entered.wait(10)
    for number in range(2, 8):
        append(opened, number)
    assert waiter.durable_seq == 0
    release.set()
    waiter.wait(7)
    assert len(calls) == 2
    opened.close()


def test_r08_a_failed_fsync_fails_the_log_for_good(tmp_path, monkeypatch):
    """Nothing is acknowledged, nothing is tried again, and every later append says why."""
    opened, waiter = open_log(tmp_path)
    calls = []

    def fail(_):
        calls.append(1)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "fsync", fail)
    append(opened, 1)
    with pytest.raises(errors.LogFailedError, match="Input/output error"):
        waiter.wait(1)
    with pytest.raises(errors.LogFailedError, match="until a restart"):
        append(opened, 2)
    with pytest.raises(errors.LogFailedError):
        opened.rotate()
    assert (calls, waiter.durable_seq) == ([1], 0)
    opened.close()


def test_a_full_disk_refuses_the_record_and_keeps_the_log_sound(tmp_path, monkeypatch):
    """Half a record that was written is taken back; with room again the next one follows without a gap."""
    opened, waiter = open_log(tmp_path)
    append(opened, 1)
    waiter.wait(1)
    real = os.pwrite

    def half(descriptor, data, at):
        if len(data) < 60:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[: len(data) // 2], at)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(errors.StorageFullError, match="No space left"):
        append(opened, 2)
    monkeypatch.setattr(os, "pwrite", real)
    assert append(opened, 3) == 2
    waiter.wait(2)
    opened.close()
    seen, found = read(tmp_path)
    assert (list(seen), found.torn_bytes) == ([1, 2], 0)


def test_a_failing_disk_on_append_fails_the_log(tmp_path, monkeypatch):
    """An error that is not for want of room is never taken for one."""
    opened, _ = open_log(tmp_path)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(errors.LogFailedError):
        append(opened, 1)
    opened.close()


def test_all_kinds_of_record_survive_their_bytes():
    """Encoding and decoding give the same record back, whatever its ids and namespace."""
    every = [records.Clear("a"), records.Remove("", ["x", "漢" * 512]), records.Remove("ns", []), put(5)]
    for record in every:
        op, payload = records.encode(record)
        again = records.decode(op, memoryview(b"".join(payload)))
        assert records.encode(again) == (op, payload)


def test_a_payload_that_is_too_short_is_damage():
    """A checksum that fits bytes of another format does not lead to a crash."""
    op, payload = records.encode(put(1))
    data = b"".join(payload)
    for length in range(len(data)):
        with pytest.raises(errors.DataLossError):
            records.decode(op, memoryview(data)[:length])


def test_keys_that_do_not_fit_are_refused():
    """The format's length fields bound a namespace and an id."""
    with pytest.raises(errors.BadRequestError, match="namespace has 70000 bytes"):
        records.encode(records.Clear("n" * 70_000))
    with pytest.raises(errors.BadRequestError, match="id has 70000 bytes"):
        records.encode(records.Remove("", ["i" * 70_000]))
