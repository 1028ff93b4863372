"""The log of a replica: records as another wrote them, cut where they differ, kept for who was away."""

import contextlib
import errno
import itertools
import os
import shutil
import tempfile
import threading
from pathlib import Path
from unittest import mock

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from vectorfleet_shardnode import (
    errors,
    failpoints,
    files,
    log,
    log_files,
    log_format,
    log_index,
    records,
    recovery,
)

FAR = 1 << 40


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """What is tested here is what stands in the files."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def opened(folder, covered=0, recent_bytes=0, **expected):
    """Open the log in a folder; what it applied is its `applied`."""
    if not log_files.paths(folder):
        log_files.create(folder, 1)
    applied = []
    wanted = recovery.Expected(covered, alone=False, recent_bytes=recent_bytes, **expected)
    found = recovery.recover(folder, wanted, lambda place, _: applied.append(place))
    heard = threading.Condition()

    def durable(_):
        with heard:
            heard.notify_all()

    listeners = log.Listeners(durable, lambda _: None)
    it = log.Log(folder, found.index, listeners, alone=False, committed=found.committed)
    it.applied, it.found, it.heard = applied, found, heard
    return it


def write_id(seq):
    """Return the id of the write that became a record."""
    return seq.to_bytes(16, "big")


def entry(seq, epoch=1, size=3):
    """Return a record."""
    op, payload = records.encode(records.Remove("a" * size, [f"{epoch}-{seq}"]))
    return log_format.Entry(epoch, seq, op, b"".join(payload), write_id(seq), seq % 7)


def entries(first, last, epoch=1, size=3):
    """Return records."""
    return [entry(seq, epoch, size) for seq in range(first, last + 1)]


def settle(it):
    """Wait until all is durable."""
    with it.heard:
        assert it.heard.wait_for(lambda: it.durable_seq == it.last_seq, 10)


def everything(it):
    """Read all that the log still holds."""
    found, at = [], it.first_seq
    while piece := it.read(at, 200):
        found += piece
        at = piece[-1].seq + 1
    return found


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


@pytest.mark.parametrize("seq", range(7))
def test_a_cut_leaves_the_records_before_it(tmp_path, seq):
    """Wherever it is, in whichever of three files; what comes then follows, and a start finds just that."""
    it = opened(tmp_path, recent_bytes=FAR)
    for first in (1, 3, 5):
        it.append_entries(entries(first, first + 1))
        it.rotate()
    settle(it)
    it.cut_after(seq)
    assert (it.last_seq, it.durable_seq) == (seq, seq)
    assert [it.find_write(write_id(each)) for each in range(1, 7)] == [
        (each, each % 7, 1) if each <= seq else None for each in range(1, 7)
    ]
    it.append_entries(entries(seq + 1, seq + 2, epoch=2))
    settle(it)
    wanted = [*entries(1, seq), *entries(seq + 1, seq + 2, epoch=2)]
    assert everything(it) == wanted
    it.close()
    again = opened(tmp_path)
    assert everything(again) == wanted
    again.close()


def test_committed_records_are_never_cut(tmp_path):
    """Below the commit index, or below the log's beginning: refused, and nothing has changed."""
    it = opened(tmp_path)
    for first in (1, 3, 5):
        it.append_entries(entries(first, first + 1))
        it.rotate()
    it.note_committed(4)
    it.trim(2)
    settle(it)
    with pytest.raises(errors.ShardError, match="seq 4 is committed"):
        it.cut_after(3)
    it.cut_after(4)
    assert everything(it) == entries(3, 4)
    it._committed = 0
    with pytest.raises(errors.CutAwayError, match="begins at seq 3"):
        it.cut_after(1)
    it.close()


CUTS = [name for name in failpoints.REGISTERED if name.startswith("cut.")]


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("seq", [0, 1, 2, 3, 5])
def test_a_cut_that_was_cut_short_is_done_by_the_next(tmp_path, name, seq):
    """Killed at any of its steps, twice even: what is left is made the log that was meant."""
    it = opened(tmp_path)
    for first in (1, 3, 5):
        it.append_entries(entries(first, first + 1))
        it.rotate()
    it.close()
    for nth in (1, 2):
        passes = itertools.count(1)

        def end(reached, nth=nth, passes=passes):
            if reached == name and next(passes) == nth:
                raise Killed

        with mock.patch.object(failpoints, "reached", end), contextlib.suppress(Killed):
            log_files.cut_after(tmp_path, seq, 0)
    log_files.cut_after(tmp_path, seq, 0)
    again = opened(tmp_path)
    assert everything(again) == entries(1, seq)
    again.close()


def test_a_cut_of_what_is_not_there_changes_nothing(tmp_path):
    """Where the record to be kept is damaged, no newer file goes."""
    it = opened(tmp_path)
    for first in (1, 3, 5):
        it.append_entries(entries(first, first + 1))
        it.rotate()
    it.close()
    [first, *_] = every = log_files.paths(tmp_path)
    content = first.read_bytes()
    first.write_bytes(content[:50] + b"x" + content[51:])
    with pytest.raises(errors.DataLossError, match="record 1 is not in it"):
        log_files.cut_after(tmp_path, 1, 0)
    assert log_files.paths(tmp_path) == every


def test_a_disk_that_fails_during_a_cut_fails_the_log(tmp_path, monkeypatch):
    """Nobody knows what is there; a start does."""
    it = opened(tmp_path)
    it.append_entries(entries(1, 3))
    settle(it)
    monkeypatch.setattr(files, "fsync_path", mock.Mock(side_effect=OSError(5, "Input/output error")))
    with pytest.raises(errors.LogFailedError):
        it.cut_after(1)
    with pytest.raises(errors.LogFailedError):
        it.append_entries(entries(2, 2))
    it.close()


def test_a_cut_for_which_there_is_no_room_is_done_by_the_next_call(tmp_path, monkeypatch):
    """The log has not failed: once there is room, it is cut, and goes on."""
    it = opened(tmp_path)
    it.append_entries(entries(1, 3))
    settle(it)
    with monkeypatch.context() as full:
        full.setattr(files, "fsync_path", mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left")))
        with pytest.raises(OSError, match="No space left"):
            it.cut_after(1)
    it.cut_after(1)
    it.append_entries(entries(2, 2, epoch=4))
    settle(it)
    assert everything(it) == [*entries(1, 1), *entries(2, 2, epoch=4)]
    it.close()


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


def test_epochs_that_fall_are_damage(tmp_path):
    """No primary ever writes behind a newer one."""
    it = opened(tmp_path)
    it._write(log_format.pack_record(it._header.salt, 1, log_format.Head(2, records.Op.START), []))
    it._write(log_format.pack_record(it._header.salt, 2, log_format.Head(1, records.Op.START), []))
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


class LogMachine(stateful.RuleBasedStateMachine):
    """A log against a list: appends of growing epochs, cuts, rotations, trims and restarts."""

    @stateful.initialize(folder=st.uuids(), recent=st.sampled_from([0, 200, FAR]))
    def begin(self, folder, recent):
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(mock.patch.object(os, "fsync"))
        self.folder = self.stack.enter_context(_temporary())
        self.recent, self.expected, self.epoch = recent, [], 1
        self.committed = self.covered = 0
        self.it = opened(self.folder, recent_bytes=recent)

    def teardown(self):
        if hasattr(self, "it"):
            self.it.close()
            self.stack.close()

    @stateful.rule(count=st.integers(1, 5), newer=st.booleans(), size=st.integers(0, 90))
    def append(self, count, newer, size):
        self.epoch += newer
        last = len(self.expected)
        added = entries(last + 1, last + count, self.epoch, size)
        self.it.append_entries(added)
        self.expected += added

    @stateful.rule(share=st.floats(0, 1))
    def commit(self, share):
        self.committed += round((len(self.expected) - self.committed) * share)
        self.it.note_committed(self.committed)

    @stateful.rule(share=st.floats(0, 1))
    def cut(self, share):
        seq = self.committed + round((len(self.expected) - self.committed) * share)
        settle(self.it)
        self.it.cut_after(seq)
        del self.expected[seq:]

    @stateful.rule()
    def rotate(self):
        self.it.rotate()

    @stateful.rule(share=st.floats(0, 1), keep=st.sampled_from([0, 300, 1_000, FAR]))
    def trim(self, share, keep):
        self.covered += round((self.committed - self.covered) * share)
        self.it.trim(self.covered, keep)

    @stateful.rule()
    def restart(self):
        self.it.close()
        self.it = opened(self.folder, self.covered, self.recent, durable_seq=self.covered)
        assert [seq for _, seq in self.it.applied] == list(range(self.covered + 1, self.committed + 1))

    @stateful.invariant()
    def it_holds_what_is_expected(self):
        settle(self.it)
        first = self.it.first_seq
        assert first <= self.covered + 1
        assert everything(self.it) == self.expected[first - 1 :]
        assert self.it.last == ((self.expected[-1].epoch if self.expected else 0), len(self.expected))
        for known in self.expected[max(0, first - 2) :]:
            assert self.it.epoch_at(known.seq) == known.epoch
            if known.seq >= first:
                assert self.it.find_write(known.write_id) == (known.seq, known.affected, known.epoch)


@contextlib.contextmanager
def _temporary():
    with tempfile.TemporaryDirectory(prefix="log-model-") as folder:
        yield Path(folder)


LogMachine.TestCase.settings = hypothesis.settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
TestLogModel = LogMachine.TestCase
