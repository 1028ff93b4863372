"""A power cut at any moment: what was answered is there, though all that no fsync covered may be lost.

The process runs with a library that writes down what it does to its files. From that journal the folder is
made as a disk may hold it after a cut, at hundreds of moments; each must open with all that was answered.
"""

import dataclasses
import random
import signal
import time
from pathlib import Path

import pytest
from crashing import broken_node, cold, history, lost_writes, node

from vectorfleet_shardnode import errors, files, keys, storage
from vectorfleet_shardnode.api import shard_pb2 as pb
from vectorfleet_shardnode.segments import part
from vectorfleet_shardnode.settings import Tuning

TUNING = Tuning(**node.BUSY)
CUTS = 120
BOTH = part.Fields(values=True, metadata=True)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The compiled library."""
    found = lost_writes.compile_journal(tmp_path_factory.mktemp("journal"))
    if found is None:
        pytest.skip("there is no C compiler here (cc)")
    return found


class Recorded:
    """A life with its journal.

    Args:
        folder: an existing folder.
        library: what is preloaded.
        program: what runs.
    """

    def __init__(self, folder, library, program=("-m", "vectorfleet_shardnode")):
        self.journal, self.control = folder / "journal", folder / "failing"
        (folder / "data").mkdir()
        self.disk = lost_writes.Disk(folder / "data")
        variables = lost_writes.environment(library, folder / "data", self.journal, self.control)
        self.server = cold.Server(variables, program)
        self.node = node.Node(self.server, folder, **node.BUSY)
        self.answers = {}

    def live(self, seconds, seed):
        """Write for a while, let it settle, and stop gracefully."""
        stub = self.node.serve()
        clients = history.start(stub, [{}] * 3, seed)
        for client in clients:
            self.answers[client.number] = [Answer(0, 0, {})]
            client.note = lambda change, client=client: self.note(client)
        time.sleep(seconds)
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
            assert client.failure is None
        deadline = time.monotonic() + 60
        while (report := stub.Report(pb.ReportRequest())).unindexed_rows or report.building:
            assert time.monotonic() < deadline, report
            time.sleep(0.05)
        self.node.kill(signal.SIGTERM)
        assert self.node.wait() == 0
        self.clients = clients

    def note(self, client):
        """Note how long the journal is now that a write was answered."""
        self.answers[client.number].append(Answer(self.journal.stat().st_size, client.seq, client.rows))

    def cuts(self, folder, count, seed):
        """Cut the power at drawn moments; yields what is wrong with each cut, empty where nothing is."""
        entries, numbers = lost_writes.read(self.journal), random.Random(seed)
        done = 0
        for moment in lost_writes.moments(entries, count, numbers):
            for entry in entries[done : moment + 1]:
                self.disk.play(entry)
            done, last = moment + 1, entries[moment]
            how_much = numbers.choice(lost_writes.HOW_MUCH)
            cut = folder / f"cut{moment}"
            self.disk.cut(cut, how_much, numbers)
            wrong = self.wrong_with(cut, last.end)
            yield wrong and f"{how_much} after entry {moment}, {last.kind} {last.name}: {wrong}"

    def wrong_with(self, cut, end):
        """Open a cut, and say what is not as it was answered up to that length of the journal."""
        try:
            every, seq = open_and_read(cut)
        except (errors.ShardError, OSError) as refusal:
            return f"does not open: {refusal}"
        for client in self.clients:
            answers = self.answers[client.number]
            answered = max(at for at, answer in enumerate(answers) if answer.size <= end)
            mine = {key: row for key, row in every.items() if key[1].startswith(f"w{client.number}-")}
            if seq < answers[answered].seq:
                return f"seq is {seq}, answered was {answers[answered].seq}"
            if mine not in [answer.rows for answer in answers[answered : answered + 2]]:
                return f"rows of client {client.number} are not those of its last answer, or of the next"
        return "" if (every, seq) == open_and_read(cut) else "a second start finds something else"


@dataclasses.dataclass(frozen=True)
class Answer:
    """A client's rows as of an answer, and how long the journal was when it came."""

    size: int
    seq: int
    rows: dict


def open_and_read(folder):
    """Return every row that a start serves, and its seq."""
    served = storage.open_shard(node.index_config(), 0, folder, TUNING)
    try:
        state, found = served.shard.snapshot, {}
        for namespace in state.count(None):
            ids = state.list_ids(part.Page(namespace, "", "", 100_000))
            rows = state.take(state.locate(keys.keys_of(namespace, ids)), BOTH)
            for row_id, vector, data in zip(rows.ids, rows.vectors, rows.metadata, strict=True):
                found[namespace, row_id] = (vector.tobytes(), data)
        return found, state.seq
    finally:
        served.close()


@pytest.fixture
def no_disk(monkeypatch):
    """What is read here was made for it, so nothing has to reach the disk."""
    monkeypatch.setattr(files, "fsync", lambda _: None)


@pytest.mark.parametrize("seed", ["a", "b"])
def test_r04_what_was_answered_survives_a_power_cut(library, tmp_path, no_disk, seed):
    """120 moments of a life with flushes, builds and log cuts: each opens, twice, with every answered row."""
    life = Recorded(tmp_path, library)
    life.live(2.0, seed)
    cuts = list(life.cuts(tmp_path, CUTS, seed))
    assert [wrong for wrong in cuts if wrong] == []
    assert len(cuts) > CUTS * 0.8


def test_the_journal_leaves_nothing_out(library, tmp_path):
    """Played to its end with nothing lost, it gives the folder that the process left, byte for byte."""
    life = Recorded(tmp_path, library)
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
    "renamed before the fsync",
    "the log is cut too early",
    "no tombstones",
    "cleaned before the manifest",
)


@pytest.mark.parametrize("broken", BROKEN)
def test_r34_a_broken_shard_node_is_noticed(library, tmp_path, no_disk, broken):
    """With one promise patched out of the process, some cut does not open with what was answered."""
    program = (str(Path(broken_node.__file__)), broken)
    life = Recorded(tmp_path, library, program)
    life.live(1.5, broken)
    assert any(life.cuts(tmp_path, 400, broken))


def test_every_way_to_break_it_is_tried():
    """The list here is the list there."""
    assert sorted(BROKEN) == sorted(broken_node.WAYS)
