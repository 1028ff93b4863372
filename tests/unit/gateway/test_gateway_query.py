"""`/query` over exact shards in memory."""

import grpc
import prometheus_client
import pytest


async def query(gateway, **body):
    """Return a query's whole answer."""
    answer = await gateway.ask("POST", "/query", {"topK": 10} | body)
    assert answer.status == 200, answer.body
    return answer.json


async def found(gateway, **body):
    """Return the ids that a query finds, best first."""
    return [match["id"] for match in (await query(gateway, **body))["matches"]]


@pytest.mark.parametrize(
    ("metric", "best_first"),
    [
        ("cosine", ["near", "far", "off"]),
        ("dotproduct", ["far", "near", "off"]),
        ("euclidean", ["near", "off", "far"]),
    ],
)
@pytest.mark.parametrize("shards", [1, 2, 5])
async def test_the_best_of_all_shards_come_first(make_gateway, metric, best_first, shards):
    """However many shards there are, and whether a greater or a smaller score is better."""
    gateway = make_gateway(shards=shards, metric=metric)
    await gateway.upsert([("near", [1.0, 0.1]), ("far", [9.0, 1.0]), ("off", [0.5, 3.0])])
    assert await found(gateway, vector=[1.0, 0.1]) == best_first
    assert await found(gateway, vector=[1.0, 0.1], topK=1) == best_first[:1]


async def test_what_an_answer_holds(make_gateway):
    """Values and metadata only where asked for; `values` is there all the same, as Pinecone has it."""
    gateway = make_gateway(metric="dotproduct")
    await gateway.upsert([("a", [1.0, 2.0], {"n": 1}), ("b", [1.0, -2.0])], namespace="shop")
    plain = await query(gateway, vector=[1.0, 2.0], namespace="shop")
    assert plain == {
        "matches": [{"id": "a", "values": [], "score": 5.0}, {"id": "b", "values": [], "score": -3.0}],
        "namespace": "shop",
        "usage": {"readUnits": 2},
    }
    full = await query(gateway, vector=[1.0, 2.0], namespace="shop", includeValues=True, includeMetadata=True)
    assert full["matches"] == [
        {"id": "a", "values": [1.0, 2.0], "metadata": {"n": 1}, "score": 5.0},
        {"id": "b", "values": [1.0, -2.0], "score": -3.0},
    ]


async def test_a_query_by_id(gateway):
    """The row's own vector, wherever it lies, is what is compared with; the row itself is found too."""
    await gateway.upsert([("a", [1.0, 2.0]), ("b", [1.0, -2.0]), ("c", [1.0, 1.9])])
    assert await found(gateway, id="a", topK=2) == ["a", "c"]


async def test_a_query_by_an_id_that_does_not_exist(gateway):
    """Nothing is near it: an empty answer, as with Pinecone."""
    await gateway.upsert([("a", [1.0, 2.0])])
    assert await query(gateway, id="none") == {"matches": [], "namespace": "", "usage": {"readUnits": 1}}


async def test_what_shards_are_asked(gateway):
    """Parameters travel; a search goes to every shard."""
    await query(gateway, vector=[1.0, 2.0], topK=7, filter={"n": 1}, params={"efSearch": 200, "exact": True})
    for shard in gateway.shards:
        (asked,) = shard.calls[-1].queries
        assert (asked.top_k, asked.filter, asked.ef_search, asked.exact) == (7, b'{"n":1}', 200, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"vector": [1.0, 2.0], "topK": 0}, "topK is 0; it must be 1 to 10000"),
        ({"vector": [1.0, 2.0], "topK": 10_001}, "topK is 10001"),
        ({"vector": [1.0, 2.0], "topK": 1.5}, "$.topK"),
        ({"vector": [1.0, 2.0]}, "missing required field `topK`"),
        ({"topK": 1}, "a vector, the id of a row, vectors, or text"),
        ({"topK": 1, "vector": [1.0, 2.0], "id": "a"}, "a vector, or the id of a row"),
        ({"topK": 1, "id": ""}, "id is empty"),
        ({"topK": 1, "vector": []}, "the query has 0 dimensions; the index has 2 dimensions"),
        ({"topK": 1, "vector": [1.0]}, "the query has 1 dimensions; the index has 2 dimensions"),
        ({"topK": 1, "vector": [0.0, 0.0]}, "all zero"),
        ({"topK": 1, "vector": [1.0, 2.0], "filter": {"n": {"$bad": 1}}}, "unknown operator $bad"),
        ({"topK": 1, "vector": [1.0, 2.0], "params": {"efSearch": 0}}, "params.efSearch is 0"),
        ({"topK": 1, "vector": [1.0, 2.0], "params": {"nprobe": 1}}, "unknown field `nprobe`"),
        (
            {"topK": 1, "vector": [1.0, 0.0], "sparseVector": {"indices": [1], "values": [1.0]}},
            "sparse values need the metric dotproduct",
        ),
    ],
)
async def test_queries_that_are_refused(gateway, body, said):
    """400 says what was wrong and what would be right."""
    answer = await gateway.ask("POST", "/query", body)
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert said in answer.json["message"]


async def test_null_means_absent(gateway):
    """What a client sends as null is as if it had not."""
    await gateway.upsert([("a", [1.0, 2.0])])
    nulls = dict.fromkeys(["id", "namespace", "filter", "includeValues", "params", "sparseVector"])
    assert await found(gateway, vector=[1.0, 2.0], **nulls) == ["a"]


async def test_a_shard_that_is_away_fails_the_query(gateway, refused):
    """An answer that lacks a shard would pass for a whole one."""
    gateway.shards[0].failure = refused(grpc.StatusCode.UNAVAILABLE, "gone")
    answer = await gateway.ask("POST", "/query", {"vector": [1.0, 2.0], "topK": 1})
    assert (answer.status, answer.json["message"]) == (503, "shard 0 can't be reached")


def counted(status, namespace):
    """Return how many queries were counted so."""
    labels = {"status": status, "namespace": namespace}
    return prometheus_client.REGISTRY.get_sample_value("vector_search_requests_total", labels) or 0


async def test_queries_are_counted_by_status_and_namespace(gateway):
    """Refusals too; the default namespace has a name."""
    good, bad = counted("200", "counted"), counted("400", "counted")
    default = counted("200", "__default__")
    await query(gateway, vector=[1.0, 2.0], namespace="counted")
    await query(gateway, vector=[1.0, 2.0])
    await gateway.ask("POST", "/query", {"vector": [1.0], "topK": 1, "namespace": "counted"})
    assert counted("200", "counted") == good + 1
    assert counted("400", "counted") == bad + 1
    assert counted("200", "__default__") == default + 1
