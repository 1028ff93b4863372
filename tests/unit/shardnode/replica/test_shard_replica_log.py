"""The log of a replica: records as another wrote them, in order and whole."""

import concurrent.futures
import shutil

import pytest
from fixtures.replica_logs import FAR, entries, entry, everything, opened, settle, write_id

from vectorfleet_shardnode import errors, records
from vectorfleet_shardnode.log import high_water, log_files, log_format, log_index


@pytest.mark.parametrize("recent", [0, 150, FAR])
def test_records_are_read_as_they_were_appended(tmp_path, recent):
    """From memory, from files or from both: with all that they carry; also after a restart."""
    it = opened(tmp_path, recent_bytes=recent)
    it.append_entries(entries(1, 3))
    it.rotate()
    it.append_entries([*entries(4, 4), *entries(5, 6, epoch=4)])
    settle(it)
    wanted = [*entries(1, 4), *entries(5, 6, epoch=4)]
    assert everything(it) == wanted
    assert it.read(3, 1) == wanted[2:3]
    assert it.read(7, FAR) == []
    it.close()
    again = opened(tmp_path, recent_bytes=recent)
    assert everything(again) == wanted
    assert [again.epoch_at(seq) for seq in range(-1, 8)] == [None, 0, 1, 1, 1, 1, 4, 4, None]
    assert again.last == (4, 6)
    again.close()


def test_a_primary_numbers_what_it_appends(tmp_path):
    """The start record is one like others; what a mark says takes no number."""
    it = opened(tmp_path)
    assert it.append(log_format.Head(3, records.Op.START), []) == 1
    op, payload = records.encode(records.Clear("a"))
    assert it.append(log_format.Head(3, op, write_id(2), 5), payload) == 2
    settle(it)
    assert it.read(1, FAR) == [
        log_format.Entry(3, 1, records.Op.START, b""),
        log_format.Entry(3, 2, op, b"".join(payload), write_id(2), 5),
    ]
    it.close()


def test_only_what_is_durable_is_shipped(tmp_path, monkeypatch):
    """A record whose fsync is under way is not read, unless it is asked for."""
    it = opened(tmp_path)
    it.append_entries(entries(1, 1))
    settle(it)
    with it._syncing:
        it.append_entries(entries(2, 3))
        assert it.read(1, FAR) == entries(1, 1)
        assert it.read(2, FAR) == []
        assert it.read(2, FAR, unsynced=True) == entries(2, 3)
    it.close()


def test_a_few_recent_records_are_read_without_waiting(tmp_path):
    """All of them or none: not where some are only in files, too large, not durable, or the log is in use."""
    it = opened(tmp_path, recent_bytes=300)
    it.append_entries(entries(1, 6))
    settle(it)
    oldest = next(seq for seq in range(1, 7) if it.read_recent(seq, seq, FAR))
    assert 1 < oldest < 5
    assert it.read_recent(oldest, 6, FAR) == entries(oldest, 6)
    assert it.read_recent(oldest, 5, FAR) == entries(oldest, 5)
    assert it.read_recent(oldest - 1, 6, FAR) == []
    assert it.read_recent(6, 6, entry(6).size - 1) == it.read_recent(5, 6, entry(6).size) == []
    with it._syncing:
        it.append_entries(entries(7, 7))
        assert it.read_recent(6, 7, FAR) == it.read_recent(7, 7, FAR) == []
    settle(it)
    with concurrent.futures.ThreadPoolExecutor(1) as elsewhere, it._state:
        assert elsewhere.submit(it.read_recent, 7, 7, FAR).result() == []
    it.close()


@pytest.mark.parametrize(
    "wrong",
    [
        entries(1, 2),
        entries(4, 4),
        [entry(3), entry(5)],
        [entry(3, epoch=1)],
        [log_format.Entry(9, 3, records.Op.MARK, b"")],
        [entry(3, epoch=9), entry(4, epoch=8)],
        [entry(3, 9)._replace(write_id=b"short")],
    ],
)
def test_entries_that_can_not_follow_are_refused_whole(tmp_path, wrong):
    """Not consecutive, of an older epoch, no records: nothing of them is in the log."""
    it = opened(tmp_path)
    it.append_entries([entry(1), entry(2, epoch=2)])
    with pytest.raises(errors.BadRequestError):
        it.append_entries(wrong)
    settle(it)
    assert it.last == (2, 2)
    it.close()
    assert opened(tmp_path).found.torn_bytes == 0


def test_a_torn_group_is_cut_record_by_record(tmp_path):
    """Entries that came together are each whole or not there."""
    it = opened(tmp_path)
    it.append_entries(entries(1, 4))
    it.close()
    [path] = log_files.paths(tmp_path)
    content = path.read_bytes()
    ends = [
        end for _, end in log_format.entries(memoryview(content), log_format.unpack_header(content).salt)
    ][:4]
    for length in range(ends[0], ends[3], 13):
        path.write_bytes(content[:length])
        (tmp_path / high_water.FILE_NAME).unlink()  # the group was never on the disk
        again = opened(tmp_path)
        assert again.last_seq == sum(end <= length for end in ends)
        again.close()


def test_what_is_not_known_to_be_committed_is_not_applied(tmp_path):
    """A start applies up to the commit index of the last mark, or of the manifest; the rest stays."""
    it = opened(tmp_path)
    it.append_entries(entries(1, 5))
    settle(it)
    it.note_committed(2)
    it.append_entries(entries(6, 6))
    settle(it)
    it.note_committed(4)
    shutil.copytree(tmp_path, tmp_path / "killed")
    it.close()
    killed = opened(tmp_path / "killed")
    assert killed.applied == [(1, 1), (1, 2)]
    killed.close()
    stopped = opened(tmp_path)
    assert (stopped.applied, stopped.last_seq) == ([(1, seq) for seq in range(1, 5)], 6)
    stopped.close()
    shutil.rmtree(tmp_path / "killed")
    known = opened(tmp_path, covered=1, durable_seq=5)
    assert known.applied == [(1, seq) for seq in range(2, 6)]
    known.close()


def test_epochs_that_fall_are_damage(tmp_path):
    """No primary ever writes behind a newer one."""
    it = opened(tmp_path)
    it._write(log_format.pack_record(it._tail.header.salt, 1, log_format.Head(2, records.Op.START), []))
    it._write(log_format.pack_record(it._tail.header.salt, 2, log_format.Head(1, records.Op.START), []))
    it.close()
    with pytest.raises(errors.DataLossError, match="record 2 is of epoch 1, the one before it of epoch 2"):
        opened(tmp_path)


def test_write_ids_are_bounded():
    """The newest stay; of one id the first record counts."""
    ids = log_index.WriteIds(3)
    for seq in range(1, 6):
        ids.note(write_id(seq), log_index.Write(seq, 0, 1))
    ids.note(write_id(5), log_index.Write(9, 9, 1))
    ids.note(b"", log_index.Write(10, 0, 1))
    assert [seq for seq in range(12) if ids.find(write_id(seq))] == [3, 4, 5]
    assert ids.find(write_id(5)) == (5, 0, 1)
