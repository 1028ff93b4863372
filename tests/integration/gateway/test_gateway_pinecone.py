"""The official client on real processes: every call of its data plane, unchanged."""

import numpy as np
import pinecone
import pytest

ROWS = [
    pinecone.Vector(
        id=f"r{number:03}", values=[1.0, number / 50, 0.1, 0.2], metadata={"even": number % 2 == 0}
    )
    for number in range(100)
]


def ids_of(index, **options):
    """Return every listed id."""
    return [row_id for page in index.list(**options) for row_id in page]


def test_rows_go_in_and_come_back(index):
    """Three ways to write a row; values come back as the same float32, metadata as it was."""
    values = np.random.default_rng(1).standard_normal(4).tolist()
    metadata = {"s": "é", "n": 0.5, "b": True, "l": ["x", "y"]}
    reply = index.upsert([("a", values, metadata), ("b", values), {"id": "c", "values": values}])
    assert reply.upserted_count == 3
    fetched = index.fetch(["a", "b", "none"])
    assert set(fetched.vectors) == {"a", "b"}
    assert fetched.vectors["a"].metadata == metadata
    assert fetched.vectors["b"].metadata is None
    assert np.array_equal(np.float32(fetched.vectors["a"].values), np.float32(values))
    assert fetched.usage["read_units"] > 0


def test_batches_of_the_client(index):
    """The client's own batching works."""
    assert index.upsert(ROWS, batch_size=30, show_progress=False).upserted_count == 100
    assert index.describe_index_stats().total_vector_count == 100


def test_queries(index):
    """By vector, by id, with a filter, with values and metadata; best first over both shards."""
    index.upsert(ROWS, namespace="shop")
    reply = index.query(
        vector=[1.0, 0.5, 0.1, 0.2], top_k=3, namespace="shop", include_values=True, include_metadata=True
    )
    assert [match.id for match in reply.matches] == ["r025", "r026", "r024"]
    assert reply.namespace == "shop"
    assert reply.matches[0].score == pytest.approx(1.0, abs=1e-6)
    assert reply.matches[0].metadata == {"even": False}
    assert reply.matches[0].values == pytest.approx([1.0, 0.5, 0.1, 0.2], abs=1e-7)
    scores = [match.score for match in index.query(id="r025", top_k=100, namespace="shop").matches]
    assert len(scores) == 100
    assert scores == sorted(scores, reverse=True)
    even = index.query(id="r025", top_k=100, namespace="shop", filter={"even": {"$eq": True}})
    assert {match.id for match in even.matches} == {row.id for row in ROWS if row.metadata["even"]}
    assert index.query(id="none", top_k=1, namespace="shop").matches == []
    assert index.query(id="r025", top_k=1).matches == []


def test_query_namespaces(index):
    """The client merges namespaces itself."""
    index.upsert(ROWS[:50], namespace="left")
    index.upsert(ROWS[50:], namespace="right")
    found = index.query_namespaces(
        vector=[1.0, 0.99, 0.1, 0.2], namespaces=["left", "right"], metric="cosine", top_k=2
    )
    assert {(match.id, match.namespace) for match in found.matches} == {("r049", "left"), ("r050", "right")}


def test_updates(index):
    """Values are replaced and metadata merged; a row that does not exist stays so."""
    index.upsert([("a", [1.0, 2.0, 3.0, 4.0], {"n": 1.0, "m": "x"})])
    index.update("a", set_metadata={"n": 2.0})
    index.update("a", values=[4.0, 3.0, 2.0, 1.0])
    index.update("none", values=[4.0, 3.0, 2.0, 1.0])
    row = index.fetch(["a", "none"]).vectors
    assert set(row) == {"a"}
    assert row["a"].values == [4.0, 3.0, 2.0, 1.0]
    assert row["a"].metadata == {"n": 2.0, "m": "x"}


def test_deletes(index):
    """By id, by filter, all of a namespace."""
    index.upsert(ROWS)
    index.upsert(ROWS, namespace="other")
    index.delete(ids=["r000", "r001", "none"])
    assert len(ids_of(index)) == 98
    index.delete(filter={"even": {"$eq": True}})
    assert ids_of(index) == [row.id for row in ROWS[3:] if not row.metadata["even"]]
    index.delete(delete_all=True)
    assert ids_of(index) == []
    assert len(ids_of(index, namespace="other")) == 100


def test_lists(index):
    """In ascending order, by prefix, in pages."""
    index.upsert(ROWS)
    pages = list(index.list(prefix="r0", limit=7))
    assert [len(page) for page in pages] == [7] * 14 + [2]
    assert [row_id for page in pages for row_id in page] == [row.id for row in ROWS]
    assert ids_of(index, prefix="r09") == [f"r09{number}" for number in range(10)]
    page = index.list_paginated(limit=3, prefix="r01")
    assert [row.id for row in page.vectors] == ["r010", "r011", "r012"]
    assert index.list_paginated(limit=3, prefix="zz").vectors == []


def test_pages_while_rows_come_and_go(index):
    """What was there all the time is listed exactly once, whatever is written and deleted in between."""
    index.upsert(ROWS)
    seen, token, step = [], None, 0
    while True:
        page = index.list_paginated(limit=10, pagination_token=token)
        seen += [row.id for row in page.vectors]
        if not page.pagination:
            break
        token = page.pagination.next
        index.delete(ids=[seen[-1], f"r{step * 10 + 15:03}"])
        index.upsert([(f"r{step * 10:03}x", [1.0, 2.0, 3.0, 4.0])])
        step += 1
    stayed = [row.id for row in ROWS if row.id in set(ids_of(index))]
    assert 70 < len(stayed) < 90
    assert [row_id for row_id in seen if row_id in stayed] == stayed
    assert seen == sorted(set(seen))


def test_stats_and_namespaces(index):
    """Counted, listed, described, deleted."""
    index.upsert(ROWS)
    index.upsert(ROWS[:10], namespace="a/b c")
    stats = index.describe_index_stats()
    assert (stats.dimension, stats.metric, stats.vector_type, stats.index_fullness) == (
        4,
        "cosine",
        "dense",
        0.0,
    )
    assert {name: space.vector_count for name, space in stats.namespaces.items()} == {"": 100, "a/b c": 10}
    some = index.describe_index_stats(filter={"even": {"$eq": True}})
    assert some.total_vector_count == 55
    assert [(space.name, space.record_count) for space in index.list_namespaces()] == [
        ("__default__", 100),
        ("a/b c", 10),
    ]
    assert len(list(index.list_namespaces(limit=1))) == 2
    assert index.describe_namespace(namespace="a/b c").record_count == 10
    index.delete_namespace(namespace="a/b c")
    with pytest.raises(pinecone.exceptions.NotFoundException):
        index.describe_namespace(namespace="a/b c")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda index: index.query(vector=[1.0, 2.0], top_k=1), "2 dimensions; the index has 4 dimensions"),
        (lambda index: index.query(vector=[0.0] * 4, top_k=1), "all zero"),
        (lambda index: index.query(vector=[1.0] * 4, top_k=1, filter={"n": {"$near": 1}}), "$near"),
        (lambda index: index.upsert([("a\0", [1.0] * 4)]), "NUL"),
        (lambda index: index.upsert([("a", [float("nan")] * 4)]), "NaN"),
        (lambda index: index.upsert([("a", [1.0] * 4, {"x": {"y": 1}})]), "'x' is an object"),
        (lambda index: index.upsert([("a", [1.0] * 4)] * 1001), "1001 vectors"),
        (lambda index: index.fetch(["a" * 513]), "513 characters"),
        (lambda index: index.delete(filter={}), "filter is empty"),
        (
            lambda index: index.upsert(
                [pinecone.Vector("a", [1.0] * 4, sparse_values=pinecone.SparseValues([1], [1.0]))]
            ),
            "sparse values need the metric dotproduct",
        ),
    ],
)
def test_refusals_reach_the_caller(index, call, said):
    """The client raises what the gateway said, and nothing was written."""
    with pytest.raises(pinecone.exceptions.PineconeApiException) as caught:
        call(index)
    assert caught.value.status == 400
    assert said in caught.value.body
    assert index.describe_index_stats().total_vector_count == 0


def test_a_wrong_key(fleet):
    """401, as the client's own exception."""
    with pytest.raises(pinecone.exceptions.UnauthorizedException):
        pinecone.Pinecone(api_key="wrong").Index(host=fleet.host).describe_index_stats()


def test_a_body_beyond_the_limit(index):
    """The client sees 413, not a broken connection."""
    rows = [(f"r{number}", [1.0] * 4, {"k": "x" * 38_000}) for number in range(1000)]
    with pytest.raises(pinecone.exceptions.PineconeApiException) as caught:
        index.upsert(rows)
    assert caught.value.status == 413


async def test_the_asyncio_client(fleet, index):
    """The same calls in the other form."""
    async with fleet.index_asyncio() as other:
        assert (await other.upsert(ROWS, batch_size=40, show_progress=False)).upserted_count == 100
        found = await other.query(id="r025", top_k=3, include_metadata=True)
        assert [match.id for match in found.matches] == ["r025", "r026", "r024"]
        await other.update("r000", set_metadata={"new": True})
        fetched = await other.fetch(["r000"])
        assert fetched.vectors["r000"].metadata == {"even": True, "new": True}
        listed = [row_id async for page in other.list(prefix="r01", limit=4) for row_id in page]
        assert listed == [f"r01{number}" for number in range(10)]
        assert [space.name async for space in other.list_namespaces()] == ["__default__"]
        assert (await other.describe_namespace(namespace="__default__")).record_count == 100
        found = await other.query_namespaces(
            vector=[1.0] * 4, namespaces=["__default__"], metric="cosine", top_k=2
        )
        assert len(found.matches) == 2
        await other.delete(ids=["r000"])
        assert (await other.describe_index_stats()).total_vector_count == 99
        await other.delete_namespace(namespace="__default__")
        assert (await other.describe_index_stats(filter={"even": True})).total_vector_count == 0


def test_calls_in_threads(index):
    """The client's own pool: each call returns something to wait for."""
    calls = [index.upsert(ROWS[start : start + 25], async_req=True) for start in range(0, 100, 25)]
    assert [call.get().upserted_count for call in calls] == [25] * 4
    assert index.query(id="r025", top_k=1, async_req=True).get().matches[0].id == "r025"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda index: index.start_import("s3://bucket/path"), "/bulk/imports"),
    ],
)
def test_calls_that_are_not_served(index, call, said):
    """404 that names the route, as docs/pinecone.md says."""
    with pytest.raises(pinecone.exceptions.NotFoundException) as caught:
        call(index)
    assert "there is no route" in caught.value.body
    assert said in caught.value.body
