"""The files of a log: they follow one another, only covered ones go, and a gap or a short one is refused."""

import os

import pytest
from fixtures.logs import append, fill, open_log, read

from vectorfleet_shardnode import errors, files
from vectorfleet_shardnode.log import log_files, log_format


def write_three_files(folder):
    """Write a log of three records, each in a file of its own, and an empty file behind them."""
    opened, _ = open_log(folder)
    for number in range(1, 4):
        append(opened, number)
        opened.rotate()
    opened.close()


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
    write_three_files(tmp_path)
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
    write_three_files(tmp_path)
    log_files.paths(tmp_path)[1].unlink()
    assert read(tmp_path, covered=3)[1].index.last_seq == 3
