"""A life of a shard node that is recorded, so that the power can be cut at any moment of it afterwards."""

import dataclasses
import random
import shutil
import signal
import time

import numpy as np
from crashing import cold, history, lost_writes, node

from vectorfleet_shardnode import errors, keys, sparse, storage
from vectorfleet_shardnode.api import shard_pb2 as pb
from vectorfleet_shardnode.segments import part
from vectorfleet_shardnode.settings import Tuning

TUNING = Tuning(**node.BUSY)
BOTH = part.Fields(values=True, metadata=True)


class Recorded:
    """A life with its journal.

    Args:
        folder: where it happens; made if it isn't there.
        library: what is preloaded.
        program: what runs.
        before: the data it begins with; None for a new shard.
    """

    def __init__(self, folder, library, program=("-m", "vectorfleet_shardnode"), before=None):
        folder.mkdir(exist_ok=True)
        self.journal, self.control = folder / "journal", folder / "failing"
        if before is None:
            (folder / "data").mkdir()
        else:
            shutil.copytree(before, folder / "data")
        self.disk = lost_writes.Disk(folder / "data")
        variables = lost_writes.environment(library, folder / "data", self.journal, self.control)
        self.server = cold.Server(variables, program)
        self.node = node.Node(self.server, folder, **node.BUSY)
        self.answers = {}

    def live(self, seconds, seed, rows=({}, {}, {})):
        """Write for a while, let it settle, and stop gracefully; `rows` are each client's to begin with."""
        self.answers = {number: [Answer(0, 0, held)] for number, held in enumerate(rows)}
        stub = self.node.serve()
        clients = history.clients_of(stub, rows, seed)
        for client in clients:
            client.note = lambda change, client=client: self.note(client)
            client.start()
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
            if not wrong:
                shutil.rmtree(cut)
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
            column = sparse.none(len(ids)) if rows.sparse is None else rows.sparse
            pairs = [column.take(np.array([row])).items for row in range(len(ids))]
            for row_id, vector, data, own in zip(rows.ids, rows.vectors, rows.metadata, pairs, strict=True):
                held = (own["index"].tobytes(), own["value"].tobytes())
                found[namespace, row_id] = (vector.tobytes(), data, held)
        return found, state.seq
    finally:
        served.close()
