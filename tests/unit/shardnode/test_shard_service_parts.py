"""Vector fields through the shard's API: written, asked for by parts, read back."""

import numpy as np
import pytest

from vectorfleet_shardnode import errors
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.serving import service
from vectorfleet_shardnode.settings import Tuning

FIELDS = (
    config.VectorField(name="title", dimensions=2),
    config.VectorField(name="body", dimensions=2, late_interaction=True),
)


def raw(*vectors):
    """Return vectors as bytes."""
    return np.array(vectors, "<f4").tobytes()


@pytest.fixture
async def served(tmp_path):
    """A shard with three rows: each points its own way; b has no title, c no body."""
    index = config.IndexConfig(index="shop", serving=config.Generation(dimensions=2, vectors=FIELDS))
    found = await service.open_service(index, 0, tmp_path, Tuning(reserved_bytes=0), service.Machine(1))
    rows = shard_pb2.Rows(
        ids=["a", "b", "c"],
        vectors=raw((1, 0), (0, 2), (-3, 0)),
        fields=[
            shard_pb2.VectorColumn(name="title", counts=[1, 0, 1], vectors=raw((0, 1), (4, 0))),
            shard_pb2.VectorColumn(name="body", counts=[2, 1, 0], vectors=raw((1, 0), (0, 1), (-5, 0))),
        ],
    )
    await found.write(shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=rows)))
    yield found
    await found.close()


def query(*parts, **fields):
    """Return a query by (field, weight, vectors) parts."""
    sent = [
        shard_pb2.QueryPart(field=field, weight=weight, vectors=raw(*vectors))
        for field, weight, *vectors in parts
    ]
    return shard_pb2.Query(parts=sent, top_k=3, **fields)


async def ask(served, *queries):
    """Return the (id, score) pairs of each query."""
    reply = await served.search(shard_pb2.SearchRequest(queries=queries))
    return [
        list(zip(found.rows.ids, np.frombuffer(found.scores, "<f4").round(5).tolist(), strict=True))
        for found in reply.results
    ]


async def test_parts_and_plain_vectors_are_answered_in_order(served):
    """A batch may hold queries of each kind; each gets its own answer."""
    found = await ask(
        served,
        query(("body", 1, (1, 0), (0, 1))),
        shard_pb2.Query(vector=raw((1, 0)), top_k=1),
        query(("", 1, (1, 0)), ("title", 0.5, (1, 0))),
        query(("title", 2, (0, 3))),
    )
    assert found == [
        [("a", 2.0), ("b", -1.0)],
        [("a", 1.0)],
        [("a", 1.0), ("b", 0.0), ("c", -0.5)],
        [("a", 2.0), ("c", 0.0)],
    ]


async def test_fields_come_with_the_values(served):
    """Where values are asked for, in matches and by fetch; a field that no row has is left out."""
    fetched = await served.fetch(shard_pb2.FetchRequest(ids=["c", "a"], include_values=True))
    columns = {column.name: column for column in fetched.rows.fields}
    assert list(columns["title"].counts) == [1, 1]
    assert columns["title"].vectors == raw((4, 0), (0, 1))
    assert list(columns["body"].counts) == [0, 2]
    fetched = await served.fetch(shard_pb2.FetchRequest(ids=["c"], include_values=True))
    assert [column.name for column in fetched.rows.fields] == ["title"]
    assert not (await served.fetch(shard_pb2.FetchRequest(ids=["a"]))).rows.fields
    asked = query(("body", 1, (-1, 0)), include_values=True)
    reply = await served.search(shard_pb2.SearchRequest(queries=[asked]))
    assert reply.results[0].rows.ids[0] == "b"
    assert reply.results[0].rows.fields[1].vectors == raw((-5, 0), (1, 0), (0, 1))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (query(("", 1, (1, 0)), vector=raw((1, 0))), "one of vector, parts and text"),
        (shard_pb2.Query(parts=query(("", 1, (1, 0))).parts), "top_k is 0"),
        (query(("nothing", 1, (1, 0))), 'no vector field "nothing"'),
    ],
)
async def test_a_query_that_can_not_be_is_refused(served, asked, said):
    """With what would be right."""
    with pytest.raises(errors.BadRequestError, match=said):
        await served.search(shard_pb2.SearchRequest(queries=[asked]))
