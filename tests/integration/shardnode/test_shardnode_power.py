"""A power cut at any moment: what was answered is there, though all that no fsync covered may be lost.

The process runs with a library that writes down what it does to its files. From that journal the folder is
made as a disk may hold it after a cut, at hundreds of moments; each must open with all that was answered.
"""

import random
from pathlib import Path

import pytest
from crashing import broken_node, lost_writes, recorded

from vectorfleet_shardnode import files

CUTS = 120


@pytest.fixture
def no_disk(monkeypatch):
    """What is read here was made for it, so nothing has to reach the disk."""
    monkeypatch.setattr(files, "fsync", lambda _: None)


@pytest.mark.parametrize("seed", ["a", "b"])
def test_r04_what_was_answered_survives_a_power_cut(journal_library, tmp_path, no_disk, seed):
    """120 moments of a life with flushes, builds and log cuts: each opens, twice, with every answered row."""
    life = recorded.Recorded(tmp_path, journal_library)
    life.live(2.0, seed)
    cuts = list(life.cuts(tmp_path, CUTS, seed))
    assert [wrong for wrong in cuts if wrong] == []
    assert len(cuts) > CUTS * 0.8


def test_r04_a_power_cut_after_a_power_cut(journal_library, tmp_path, no_disk):
    """What a start cuts, removes and goes on from is as durable as it must be: the next cut loses nothing."""
    first = recorded.Recorded(tmp_path / "first", journal_library)
    first.live(1.0, "first")
    entries, numbers = lost_writes.read(first.journal), random.Random("between")
    for entry in entries[: len(entries) * 3 // 4]:
        first.disk.play(entry)
    first.disk.cut(tmp_path / "between", "anything", numbers)

    second = recorded.Recorded(tmp_path / "second", journal_library, before=tmp_path / "between")
    every, _ = recorded.open_and_read(tmp_path / "between")
    rows = [
        {key: row for key, row in every.items() if key[1].startswith(f"w{number}-")} for number in range(3)
    ]
    second.live(0.7, "second", rows)
    assert [wrong for wrong in second.cuts(tmp_path, CUTS, "second") if wrong] == []


def test_the_journal_leaves_nothing_out(journal_library, tmp_path):
    """Played to its end with nothing lost, it gives the folder that the process left, byte for byte."""
    life = recorded.Recorded(tmp_path, journal_library)
    life.live(1.5, "whole")
    entries = lost_writes.read(life.journal)
    for entry in entries:
        life.disk.play(entry)
    data = life.node.data
    left = {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert life.disk.everything() == left
    assert {entry.kind for entry in entries} >= set("CDWRUfF")
    assert any("graph.faiss" in entry.name for entry in entries)


BROKEN = (
    "the log is not fsynced",
    "files are not fsynced",
    "folders are not fsynced",
    "answered before the fsync",
    "high-water mark before the fsync",
    "renamed before the fsync",
    "the log is cut too early",
    "no tombstones",
    "cleaned before the manifest",
)


@pytest.mark.parametrize("broken", BROKEN)
def test_r34_a_broken_shard_node_is_noticed(journal_library, tmp_path, no_disk, broken):
    """With one promise patched out of the process, some cut does not open with what was answered."""
    program = (str(Path(broken_node.__file__)), broken)
    life = recorded.Recorded(tmp_path, journal_library, program)
    life.live(1.5, broken)
    assert any(life.cuts(tmp_path, 400, broken))


def test_every_way_to_break_it_is_tried():
    """The list here is the list there."""
    assert sorted(BROKEN) == sorted(broken_node.WAYS)
