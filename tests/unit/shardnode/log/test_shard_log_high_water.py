"""The high-water mark of a log: what it says, and what it says nothing of."""

import errno
import os
import shutil
from pathlib import Path

import google_crc32c
import pytest
from fixtures import folders, lives

from vectorfleet_shardnode import errors, identity
from vectorfleet_shardnode.log import high_water, log_format

OWNER = 7


@pytest.fixture
def marked(tmp_path):
    """A folder whose mark says 5."""
    mark = high_water.HighWater(tmp_path, OWNER)
    mark.note(4)
    mark.note(5)
    mark.close()
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    """A copy of a stored folder, closed."""
    stored = Path(__file__).parents[3] / "fixtures/shard-v1/plain/data"
    return Path(shutil.copytree(stored, tmp_path / "data"))


def test_the_last_that_was_noted_is_read(marked, tmp_path):
    """Also after it was opened again; without the file nothing is known."""
    high_water.HighWater(marked, OWNER).close()
    assert high_water.read(marked, OWNER) == 5
    assert high_water.read(tmp_path / "elsewhere", OWNER) == 0


def test_what_is_torn_says_nothing(marked):
    """Cut at any byte, or with any byte changed, as a power cut may leave it."""
    path = marked / high_water.FILE_NAME
    whole = path.read_bytes()
    for at in range(len(whole)):
        for torn in (whole[:at], whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]):
            path.write_bytes(torn)
            assert high_water.read(marked, OWNER) == 0


def test_another_folders_mark_is_refused(marked):
    """It was copied here, or the log was."""
    with pytest.raises(errors.DataLossError, match=r"high-water is of another folder than identity\.json"):
        high_water.read(marked, OWNER + 1)


def test_it_is_lowered_before_records_are_cut_and_never_raised(marked, monkeypatch):
    """Durable when that returns; what says nothing is left alone."""
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    high_water.lower(marked, 9)
    assert (high_water.read(marked, OWNER), synced) == (5, [])
    high_water.lower(marked, 3)
    assert (high_water.read(marked, OWNER), len(synced)) == (3, 1)
    (marked / high_water.FILE_NAME).write_bytes(b"torn")
    high_water.lower(marked, 2)
    assert (marked / high_water.FILE_NAME).read_bytes() == b"torn"


def test_a_newer_format_is_no_damage(marked):
    """The program that wrote it can read it, so that nothing is given up for it."""
    content = bytearray((marked / high_water.FILE_NAME).read_bytes())
    content[8] += 1
    content[24:] = google_crc32c.value(bytes(content[:24])).to_bytes(4, "little")
    (marked / high_water.FILE_NAME).write_bytes(content)
    with pytest.raises(
        errors.UnknownFormatError, match="high-water has format 2; this program reads format 1"
    ):
        high_water.read(marked, OWNER)


@pytest.mark.parametrize("call", ["open", "pwrite"])
def test_without_room_less_is_known_later(tmp_path, monkeypatch, call):
    """The write that it speaks of is on the disk all the same; a full disk may not even take a new file."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    mark = high_water.HighWater(tmp_path, OWNER)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        mark.note(6)
    assert high_water.read(tmp_path, OWNER) == 0
    mark.note(7)
    assert high_water.read(tmp_path, OWNER) == 7
    mark.close()


def test_there_is_none_before_the_first_record(tmp_path):
    """It would say nothing."""
    mark = high_water.HighWater(tmp_path, OWNER)
    mark.note(0)
    mark.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_of_a_program_that_kept_none_is_served_and_has_one_then(folder):
    """What it says is what the log was found to hold."""
    (folder / "log" / high_water.FILE_NAME).unlink()
    served = folders.open_folder(folder, lives.KINDS["plain"].setting)
    last = served.shard.log.last_seq
    served.close()
    assert high_water.read(folder / "log", identity.read(folder).owner) == last > 0


def test_an_emptied_log_whose_identity_is_gone_is_no_new_folder(folder):
    """It is refused before anything is written."""
    for name in ("identity.json", "manifest.json"):
        (folder / name).unlink()
    shutil.rmtree(folder / "segments")
    for path in (folder / "log").glob("*.log"):
        os.truncate(path, log_format.HEADER_BYTES)
    with pytest.raises(errors.DataLossError, match=r"has held records, but they and identity\.json are gone"):
        folders.open_folder(folder, lives.KINDS["plain"].setting)
    assert not (folder / "identity.json").exists()
