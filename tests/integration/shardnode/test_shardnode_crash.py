"""kill -9, over and over, under writes: what was acknowledged is there, and what was deleted is not."""

import json
import random
import signal
import threading
import time

import grpc
import numpy as np

from vectorfleet_shardnode.api import shard_pb2 as pb

ROUNDS = 20
WRITERS = 3
IDS = 150  # of each writer


class Writer(threading.Thread):
    """Writes to ids of its own until a call fails; `rows` is what was acknowledged.

    The call that failed may or may not have happened: `doubt` is what the rows are if it did.
    """

    def __init__(self, number, stub, rows, numbers):
        super().__init__()
        self.number, self.stub, self.rows, self.numbers = number, stub, rows, numbers
        self.doubt = dict(rows)
        self.acknowledged = 0

    def run(self):
        while True:
            request, self.doubt = self.draw()
            try:
                self.stub.Write(request)
            except grpc.RpcError:
                return
            self.rows = self.doubt
            self.acknowledged += 1

    def draw(self):
        """Draw a write; returns it and what the rows are after it."""
        chosen = [
            f"w{self.number}-{row}" for row in self.numbers.sample(range(IDS), self.numbers.randint(1, 30))
        ]
        kind, after = self.numbers.random(), dict(self.rows)
        if kind < 0.6:
            vectors = np.frombuffer(self.numbers.randbytes(len(chosen) * 32), "<i4").astype("<f4")
            data = [json.dumps({"w": self.number, "r": self.numbers.random()}).encode() for _ in chosen]
            after |= dict(zip(chosen, zip(np.split(vectors, len(chosen)), data, strict=True), strict=True))
            content = pb.Rows(ids=chosen, vectors=vectors.tobytes(), metadata=data)
            return pb.WriteRequest(upsert=pb.Upsert(rows=content)), after
        if kind < 0.8:
            vector = np.frombuffer(self.numbers.randbytes(32), "<i4").astype("<f4")
            if chosen[0] in after:
                after[chosen[0]] = (vector, after[chosen[0]][1])
            return pb.WriteRequest(update=pb.Update(id=chosen[0], vector=vector.tobytes())), after
        if kind < 0.97:
            after = {row_id: row for row_id, row in after.items() if row_id not in chosen}
            return pb.WriteRequest(delete=pb.Delete(ids=pb.Ids(ids=chosen))), after
        return pb.WriteRequest(delete=pb.Delete(filter=json.dumps({"w": self.number}).encode())), {}


def stored(stub, number):
    """Read back every row of one writer."""
    listed = list(stub.List(pb.ListRequest(prefix=f"w{number}-", limit=10_000)).ids)
    rows = stub.Fetch(pb.FetchRequest(ids=listed, include_values=True, include_metadata=True)).rows
    vectors = np.frombuffer(rows.vectors, "<f4").reshape(len(listed), 8)
    assert list(rows.ids) == listed
    return dict(zip(listed, zip(vectors, rows.metadata, strict=True), strict=True))


def bits(rows):
    """Return rows in a form that compares bit for bit."""
    return {row_id: (vector.tobytes(), bytes(data)) for row_id, (vector, data) in rows.items()}


def check(stub, writers):
    """Compare what is stored with what was acknowledged; counts and searches agree with it."""
    total = 0
    for writer in writers:
        found = stored(stub, writer.number)
        assert bits(found) in (bits(writer.rows), bits(writer.doubt)), f"writer {writer.number}"
        writer.rows = found
        total += len(found)
        counted = stub.Stats(pb.StatsRequest(filter=json.dumps({"w": writer.number}).encode()))
        assert counted.namespaces.get("", 0) == len(found)
        for row_id, (vector, _) in list(found.items())[:3]:
            query = pb.Query(vector=vector.tobytes(), top_k=1, exact=True)
            [result] = stub.Search(pb.SearchRequest(queries=[query])).results
            assert list(result.rows.ids) == [row_id]
    assert stub.Stats(pb.StatsRequest()).namespaces.get("", 0) == total


def test_acknowledged_writes_survive_kill_9(make_node):
    """20 rounds at random moments, with flushes, merges and log cuts under way."""
    numbers = random.Random(20_261)
    node = make_node(
        growing_rows=120,
        log_file_bytes=100_000,
        unindexed_bytes=4_000,
        index_min_rows=50,
        settle_seconds=0.05,
        build_threads=1,
    )
    rows = [{} for _ in range(WRITERS)]
    acknowledged, merged = 0, 0
    for _ in range(ROUNDS):
        stub = node.serve()
        writers = [Writer(number, stub, rows[number], numbers) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(numbers.uniform(0.05, 1.2))
        merged = max(merged, stub.Report(pb.ReportRequest()).segments)
        node.process.send_signal(signal.SIGKILL)
        for writer in writers:
            writer.join()
        node.end(signal.SIGKILL)
        acknowledged += sum(writer.acknowledged for writer in writers)
        stub = node.serve()
        check(stub, writers)
        rows = [writer.rows for writer in writers]
        node.end(signal.SIGKILL)
    assert acknowledged > ROUNDS
    assert merged > 0
