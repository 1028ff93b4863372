"""The log and the disk: one fsync serves all that wait, and a disk that fails or is full is told of."""

import errno
import os
import threading

import pytest
from fixtures.logs import append, open_log, read

from vectorfleet_shardnode import errors, files


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


def test_a_fault_of_the_logs_thread_is_told(tmp_path, monkeypatch):
    """Whatever ends the thread that makes records durable, nobody waits for it in vain."""
    opened, waiter = open_log(tmp_path)

    def fault(_):
        raise ZeroDivisionError("of the program")

    monkeypatch.setattr(files, "fsync", fault)
    append(opened, 1)
    with pytest.raises(errors.LogFailedError, match="of the program"):
        waiter.wait(1)
    with pytest.raises(errors.LogFailedError, match="until a restart"):
        append(opened, 2)
    opened.close()


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
