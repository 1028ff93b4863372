"""kill -9 of shards while the official client writes and reads: what was acknowledged is there."""

import json
import random
import threading
import time
import urllib.error
import urllib.request

import pinecone
import pytest
import urllib3

KILLS = 8
PATIENCE = 5
"""Seconds within which a shard that was killed must serve again for its gateway to have waited for it."""
BATCH = 20


@pytest.fixture(scope="module")
def crashing(make_fleet):
    """A fleet of its own, since its shards are killed."""
    return make_fleet(shards=2, serving={"metric": "euclidean"})


def rows_of(number):
    """Return a batch whose values tell which batch it was."""
    return [(f"b{number:05}-{place}", [float(number), float(place), 1.0, 0.5]) for place in range(BATCH)]


class Writer(threading.Thread):
    """Upserts batch after batch, and remembers what was acknowledged."""

    def __init__(self, fleet):
        super().__init__()
        self.index = fleet.index()
        self.stopping = threading.Event()
        self.acknowledged = []
        self.failed = []

    def run(self):
        number = 0
        while not self.stopping.is_set():
            number += 1
            try:
                reply = self.index.upsert(rows_of(number))
            except (pinecone.exceptions.PineconeException, urllib3.exceptions.HTTPError, OSError) as error:
                self.failed.append((time.monotonic(), number, error))
            else:
                assert reply.upserted_count == BATCH
                self.acknowledged.append(number)


def test_nothing_acknowledged_is_lost(crashing):
    """Shards die at random moments of an upsert stream; every acknowledged row is there, value for value.

    The gateway waits some seconds for a shard that comes back, so the client sees no error either.
    """
    writer, chance, late = Writer(crashing), random.Random(7), []
    writer.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.1, 0.6))
        victim = chance.choice(crashing.shards)
        killed = time.monotonic()
        victim.kill()
        victim.start()
        victim.ready()
        if time.monotonic() - killed > PATIENCE:
            late.append((killed, time.monotonic()))
    writer.stopping.set()
    writer.join()

    assert [one for one in writer.failed if not any(begin <= one[0] <= end + 10 for begin, end in late)] == []
    assert len(writer.acknowledged) > KILLS
    index = crashing.index()
    for number in writer.acknowledged:
        fetched = index.fetch([row_id for row_id, _ in rows_of(number)]).vectors
        assert {row_id: row.values for row_id, row in fetched.items()} == dict(rows_of(number))
    counted = index.describe_index_stats().total_vector_count
    tried = len(writer.acknowledged) + len(writer.failed)
    assert len(writer.acknowledged) * BATCH <= counted <= tried * BATCH


def test_a_shard_that_stays_away_is_an_error_and_comes_back(crashing):
    """503 names the shard; once it is back the next query is answered, without a restart of the gateway."""
    crashing.shards[1].kill()
    request = urllib.request.Request(
        f"{crashing.host}/query",
        b'{"vector":[1.0,1.0,1.0,0.5],"topK":1}',
        {"Api-Key": "integration-key", "Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    with caught.value as answer:
        assert answer.code == 503
        assert json.load(answer)["message"] == "shard 1 can't be reached"
    crashing.shards[1].start()
    crashing.shards[1].ready()
    (match,) = crashing.index().query(vector=[1.0, 1.0, 1.0, 0.5], top_k=1).matches
    assert (match.id, match.score) == ("b00001-1", 0.0)


def test_a_gateway_that_dies_loses_nothing(crashing):
    """It holds no state: killed and started again, it answers as before."""
    index = crashing.index()
    before = index.describe_index_stats().total_vector_count
    crashing.gateway.kill()
    crashing.gateway.start()
    crashing.gateway.ready()
    assert index.describe_index_stats().total_vector_count == before > 0
