"""Records that a new primary never had are cut off the end of a log."""

import contextlib
import errno
import itertools
from unittest import mock

import pytest
from fixtures.replica_logs import FAR, Killed, entries, everything, opened, settle, write_id

from vectorfleet_shardnode import errors, failpoints, files
from vectorfleet_shardnode.log import log_files


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
