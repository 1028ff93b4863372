"""What a start reads from a log: what is acknowledged comes back, torn tails are cut, damage is refused."""

import os

import google_crc32c
import pytest
from fixtures.logs import append, fill, open_log, put, read

from vectorfleet_shardnode import errors, files
from vectorfleet_shardnode.log import high_water, log_files, log_format


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
