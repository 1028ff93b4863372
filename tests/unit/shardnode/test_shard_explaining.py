"""What a shard tells of a query that asks for it."""

import json

import numpy as np
import pytest

from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.serving import service
from vectorfleet_shardnode.settings import Tuning


@pytest.fixture
async def served(tmp_path):
    """A shard with six rows of two kinds, all growing, and one of another namespace."""
    index = config.IndexConfig(index="shop", serving=config.Generation(dimensions=2))
    found = await service.open_service(index, 0, tmp_path, Tuning(reserved_bytes=0), service.Machine(1))
    for namespace, count in (("", 6), ("other", 1)):
        rows = shard_pb2.Rows(
            ids=[str(number) for number in range(count)],
            vectors=np.arange(1, 2 * count + 1).astype("<f4").tobytes(),
            metadata=[b'{"even":%s}' % (b"false" if number % 2 else b"true") for number in range(count)],
        )
        upsert = shard_pb2.Upsert(rows=rows)
        await found.write(shard_pb2.WriteRequest(namespace=namespace, upsert=upsert))
    yield found
    await found.close()


async def test_an_explanation_names_segments_and_time(served):
    """How many rows each has and how many of them pass, and what the pass took."""
    asked = shard_pb2.Query(
        vector=np.ones(2, "<f4").tobytes(), top_k=1, filter=b'{"even":true}', explain=True
    )
    reply = await served.search(shard_pb2.SearchRequest(queries=[asked, asked]))
    for matches in reply.results:
        told = json.loads(matches.explanation)
        assert told["milliseconds"] > 0
        assert (told["shard"], told["together"]) == (0, 2)
        assert told["segments"] == [{"segment": "growing", "rows": 7, "passing": 3}]


async def test_nobody_else_pays_for_it(served):
    """Only the query that asks is told."""
    plain = shard_pb2.Query(vector=np.ones(2, "<f4").tobytes(), top_k=1)
    asking = shard_pb2.Query(vector=np.ones(2, "<f4").tobytes(), top_k=1, explain=True)
    reply = await served.search(shard_pb2.SearchRequest(queries=[plain, asking]))
    assert [bool(matches.explanation) for matches in reply.results] == [False, True]
