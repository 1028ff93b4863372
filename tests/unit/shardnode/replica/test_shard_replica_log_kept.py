"""Log files that segments cover are kept for replicas that were away."""

import pytest
from fixtures.replica_logs import FAR, entries, entry, everything, opened, settle, write_id

from vectorfleet_shardnode import errors
from vectorfleet_shardnode.log import log_files, log_format, log_index


def kept_log(folder, count=5, **options):
    """Write a log of files with two records each, trimmed behind seq 8 with room for two of the files."""
    it = opened(folder)
    for number in range(count):
        it.append_entries(entries(2 * number + 1, 2 * number + 2, epoch=1 + number // 3))
        it.rotate()
    settle(it)
    kept = log_files.paths(folder)[2:4]
    it.trim(8, keep_bytes=sum(path.stat().st_size for path in kept))
    return it


def test_covered_files_are_kept_up_to_a_bound(tmp_path):
    """The newest of them; their records are still read, and their writes recognised, also after a start."""
    it = kept_log(tmp_path)
    for _ in range(2):
        assert it.first_seq == 5
        assert everything(it) == [*entries(5, 6), *entries(7, 10, epoch=2)]
        assert [it.epoch_at(seq) for seq in range(3, 8)] == [None, 1, 1, 1, 2]
        assert it.find_write(write_id(4)) is None
        assert it.find_write(write_id(5)) == (5, 5, 1)
        with pytest.raises(errors.CutAwayError, match="begins at seq 5"):
            it.read(4, FAR)
        it.close()
        it = opened(tmp_path, covered=8, covered_epoch=2, durable_seq=8)
    assert it.applied == []
    it.close()


def test_kept_files_are_not_replayed(tmp_path, monkeypatch):
    """A start reads heads of their records, and of no more of them than it remembers write ids."""
    kept_log(tmp_path).close()
    seen = []
    real = log_format.parse
    monkeypatch.setattr(log_format, "parse", lambda *asked: seen.append(real(*asked)) or seen[-1])
    monkeypatch.setattr(log_index, "WRITE_IDS", 1)
    it = opened(tmp_path, covered=8)
    assert {placed.entry.seq for placed in seen if placed} == {9, 10, 11} - {11} | {
        placed.entry.seq for placed in seen if placed and log_format.is_note(placed.entry.op)
    }
    assert [it.epoch_at(seq) for seq in (4, 6, 7, 10)] == [1, 1, 2, 2]
    it.close()


@pytest.mark.parametrize("harm", ["missing", "header", "record", "foreign"])
def test_a_kept_file_that_is_damaged_ends_the_log_there(tmp_path, harm):
    """Segments hold its records, so nothing is lost: others copy those."""
    kept_log(tmp_path).close()
    path = log_files.path_of(tmp_path, 5)
    content = bytearray(path.read_bytes())
    if harm == "missing":
        path.unlink()
    else:
        content[{"header": 30, "record": 45, "foreign": 24}[harm]] ^= 1
        path.write_bytes(bytes(content))
    it = opened(tmp_path, covered=8)
    assert it.first_seq == 7
    assert everything(it) == entries(7, 10, epoch=2)
    it.trim(8, keep_bytes=FAR)
    it.close()


def test_a_kept_record_that_is_damaged_is_cut_away_for_who_asks(tmp_path):
    """Its payload is looked at when it is shipped; nobody is sent anything else than what was written."""
    kept_log(tmp_path).close()
    path = log_files.path_of(tmp_path, 5)
    content = bytearray(path.read_bytes())
    content[content.index(entry(5).payload) + 3] ^= 1  # a mark of the file before may stand before it
    path.write_bytes(bytes(content))
    it = opened(tmp_path, covered=8)
    with pytest.raises(errors.CutAwayError, match="record 5"):
        it.read(5, FAR)
    assert it.read(6, FAR) == entries(6, 6)
    it.close()


def test_a_log_and_segments_of_different_histories_are_refused(tmp_path):
    """The covered record's epoch is known to both."""
    kept_log(tmp_path).close()
    with pytest.raises(errors.DataLossError, match="of epoch 2 by the log, and of epoch 3 by the manifest"):
        opened(tmp_path, covered=8, covered_epoch=3)
