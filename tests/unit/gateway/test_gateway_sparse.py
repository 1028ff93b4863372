"""Sparse values beside dense ones, over exact shards in memory."""

import numpy as np
import pytest

from vectorfleet_gateway import limits, questions, routing, schemas, sparse
from vectorfleet_gateway.caching import keys
from vectorfleet_shardnode.api import config

PAIRS = {"indices": [7, 2**32 - 1, 0], "values": [0.5, -2.0, 1.0]}


@pytest.fixture
def gateway(make_gateway):
    """An app over two twins with the metric dotproduct; a and b have sparse values, c has none."""
    return make_gateway(metric="dotproduct")


async def fill(gateway):
    """Write the three rows."""
    await gateway.upsert(
        [
            ("a", [1.0, 2.0], {"n": 1}, {}, PAIRS),
            ("b", [2.0, 1.0], {"n": 2}, {}, {"indices": [7], "values": [4]}),
            ("c", [3.0, 3.0]),
        ]
    )


async def query(gateway, **body):
    """Return what a query finds."""
    answer = await gateway.ask("POST", "/query", {"topK": 10} | body)
    assert answer.status == 200, answer.body
    return answer.json


async def scores(gateway, **body):
    """Return id → score, best first."""
    return {match["id"]: match["score"] for match in (await query(gateway, **body))["matches"]}


async def test_rows_keep_their_sparse_values_as_they_came(gateway):
    """Fetched, and matched where values are asked for; a row without any has no such field."""
    await fill(gateway)
    rows = (await gateway.ask("GET", "/vectors/fetch", query="ids=a&ids=b&ids=c")).json["vectors"]
    assert rows["a"]["sparseValues"] == PAIRS
    assert rows["b"]["sparseValues"] == {"indices": [7], "values": [4.0]}
    assert "sparseValues" not in rows["c"]
    asked = {"vector": [1.0, 0.0], "sparseVector": {"indices": [7], "values": [1]}}
    with_values = {
        match["id"]: match for match in (await query(gateway, **asked, includeValues=True))["matches"]
    }
    assert with_values["a"]["sparseValues"] == PAIRS
    assert not any("sparseValues" in match for match in (await query(gateway, **asked))["matches"])


async def test_a_score_is_dense_and_sparse_dot_product(gateway):
    """Of rows without sparse values it is the dense one; the filter is obeyed."""
    await fill(gateway)
    sparse = {"indices": [7, 5, 2**32 - 1], "values": [2.0, 100.0, -1.0]}
    assert await scores(gateway, vector=[1.0, 0.0], sparseVector=sparse) == {"b": 10.0, "a": 4.0, "c": 3.0}
    found = await scores(gateway, vector=[1.0, 0.0], sparseVector=sparse, filter={"n": 1})
    assert found == {"a": 4.0}
    assert await scores(gateway, vector=[1.0, 0.0], sparseVector=None) == {"c": 3.0, "b": 2.0, "a": 1.0}


async def test_a_query_by_id_takes_both_vectors_of_the_row(gateway):
    """So the row finds what is like it in both ways; of a row without sparse values it is the dense one."""
    await fill(gateway)
    assert await scores(gateway, id="b") == {"b": 5.0 + 16.0, "c": 9.0, "a": 4.0 + 2.0}
    assert await scores(gateway, id="c") == {"c": 18.0, "a": 9.0, "b": 9.0}
    answer = await gateway.ask(
        "POST", "/query", {"topK": 1, "id": "b", "sparseVector": {"indices": [1], "values": [1]}}
    )
    assert answer.status == 400
    assert "the row's own sparse values" in answer.json["message"]


async def test_an_update_sets_sparse_values_and_leaves_the_rest(gateway):
    """As one of values leaves them."""
    await fill(gateway)
    for change in ({"sparseValues": {"indices": [3], "values": [1.5]}}, {"values": [9.0, 9.0]}):
        assert (await gateway.ask("POST", "/vectors/update", {"id": "a"} | change)).status == 200
    [row] = (await gateway.ask("GET", "/vectors/fetch", query="ids=a")).json["vectors"].values()
    assert row == {
        "id": "a",
        "values": [9.0, 9.0],
        "sparseValues": {"indices": [3], "values": [1.5]},
        "metadata": {"n": 1},
    }


async def test_an_explained_match_tells_both_parts(gateway):
    """Their sum is the score; without a sparse vector nothing is told of it."""
    await fill(gateway)
    sparse = {"indices": [7], "values": [2.0]}
    found = await query(gateway, vector=[1.0, 0.0], sparseVector=sparse, explain=True)
    told = {match["id"]: match["explain"] for match in found["matches"]}
    assert told == {
        "a": {"dense": 1.0, "sparse": 1.0},
        "b": {"dense": 2.0, "sparse": 8.0},
        "c": {"dense": 3.0, "sparse": 0.0},
    }
    found = await query(gateway, vector=[1.0, 0.0], explain=True)
    assert not any("explain" in match for match in found["matches"])


async def test_sparse_values_beside_text_and_vector_fields(make_gateway):
    """They belong to the list by vector, whatever it is fused with, and to the sum over fields."""
    vectors = [{"name": "title", "dimensions": 2}]
    gateway = make_gateway(metric="dotproduct", schema={"text": ["t"]}, vectors=vectors)
    await gateway.upsert(
        [
            ("a", [1.0, 0.0], {"t": "red"}, {"title": [1.0, 1.0]}, {"indices": [1], "values": [8]}),
            ("b", [2.0, 0.0], {"t": "blue"}, {"title": [0.0, 1.0]}),
        ]
    )
    sparse = {"indices": [1], "values": [1.0]}
    found = await query(gateway, vector=[1.0, 0.0], sparseVector=sparse, text="red", explain=True)
    assert found["matches"][0]["explain"]["vector"] == {"rank": 1, "score": 9.0, "dense": 1.0, "sparse": 8.0}
    asked = {"vectors": {"title": [0.0, 1.0]}, "sparseVector": sparse}
    assert await scores(gateway, **asked) == {"a": 9.0, "b": 1.0}
    weighed = asked | {"vector": [1.0, 0.0], "weights": {"values": 2, "title": 3}}
    assert await scores(gateway, **weighed) == {"a": 13.0, "b": 7.0}


MANY = list(range(limits.MAX_PAIRS + 1))


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ({"indices": [1, 2], "values": [1]}, "2 indices and 1 values"),
        ({"indices": [], "values": []}, "0 values; 1 to 2048"),
        ({"indices": MANY, "values": MANY}, "2049 values; 1 to 2048"),
        ({"indices": [1, 5, 1], "values": [1, 2, 3]}, "index 1 comes twice"),
        ({"indices": [-1], "values": [1]}, "index -1 is out of range; indices are 0 to 4294967295"),
        ({"indices": [2**32], "values": [1]}, "index 4294967296 is out of range"),
        ({"indices": [2**64], "values": [1]}, "is out of range"),
        ({"indices": [1], "values": [1e39]}, "value 0 is 1e+39, which float32 can't hold"),
    ],
)
async def test_sparse_values_that_are_refused(gateway, pairs, said):
    """In an upsert, an update and a query alike; the message names the row, and nothing is written."""
    row = {"id": "odd", "values": [1.0, 2.0]}
    for path, body, owner in (
        ("/vectors/upsert", {"vectors": [row, row | {"sparseValues": pairs}]}, "id 'odd': sparseValues"),
        ("/vectors/update", {"id": "odd", "sparseValues": pairs}, "id 'odd': sparseValues"),
        ("/query", {"topK": 1, "vector": [1.0, 2.0], "sparseVector": pairs}, "the query: sparseVector"),
    ):
        answer = await gateway.ask("POST", path, body)
        assert (answer.status, answer.json["code"]) == (400, 3)
        assert said in answer.json["message"]
        assert owner in answer.json["message"]
    assert gateway.written == 0


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ({"indices": [1]}, "missing required field `values`"),
        ({"indices": [1.5], "values": [1]}, "Expected `int`, got `float`"),
        ({"indices": [True], "values": [1]}, "Expected `int`, got `bool`"),
        ({"indices": ["1"], "values": [1]}, "got `str`"),
        ({"indices": [1], "values": [None]}, "got `null`"),
        ({"indices": [1], "values": [1], "more": 1}, "unknown field `more`"),
        ([1.0], "got `array`"),
    ],
)
async def test_bodies_that_hold_no_sparse_values(gateway, pairs, said):
    """What is no index, or no number, is told with its place."""
    body = {"vectors": [{"id": "a", "values": [1.0, 2.0], "sparseValues": pairs}]}
    answer = await gateway.ask("POST", "/vectors/upsert", body)
    assert answer.status == 400
    assert said in answer.json["message"]
    assert "$.vectors[0].sparseValues" in answer.json["message"]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
async def test_another_metric_takes_no_sparse_values(make_gateway, metric):
    """Pinecone's words are in the reason, for programs that look for them."""
    gateway = make_gateway(metric=metric)
    for path, body in (
        ("/vectors/upsert", {"vectors": [{"id": "a", "values": [1.0, 2.0], "sparseValues": PAIRS}]}),
        ("/vectors/update", {"id": "a", "sparseValues": PAIRS}),
        ("/query", {"topK": 1, "vector": [1.0, 2.0], "sparseVector": PAIRS}),
    ):
        answer = await gateway.ask("POST", path, body)
        assert answer.status == 400
        assert f"need the metric dotproduct; the index has {metric}" in answer.json["message"]
        assert "Index configuration does not support sparse values" in answer.json["message"]


@pytest.mark.parametrize("metric", ["dotproduct", "cosine"])
async def test_a_sparse_vector_alone_is_refused(make_gateway, metric):
    """In Pinecone's words, whatever the metric: the dense values would be left out of the score."""
    gateway = make_gateway(metric=metric)
    for more in ({}, {"includeValues": True}):
        body = {"topK": 1, "sparseVector": {"indices": [1], "values": [1.0]}} | more
        answer = await gateway.ask("POST", "/query", body)
        assert answer.status == 400
        assert "Cannot query index with dense 'vector_type'" in answer.json["message"]


async def test_a_search_of_records_takes_a_sparse_vector(gateway):
    """With both of its lists."""
    await fill(gateway)
    vector = {"values": [1.0, 0.0], "sparse_indices": [7], "sparse_values": [2.0]}
    body = {"query": {"top_k": 2, "vector": vector}}
    answer = await gateway.ask("POST", "/records/namespaces/__default__/search", body)
    assert [(hit["_id"], hit["_score"]) for hit in answer.json["result"]["hits"]] == [("b", 10.0), ("c", 3.0)]


def test_answers_are_cached_apart_by_their_sparse_vector():
    """Two queries that differ in nothing else are two; so is one by id once its row has others."""
    index = config.IndexConfig(index="t", serving=config.Generation(dimensions=2, metric="dotproduct"))

    def key(values=None, row=None):
        given = {} if values is None else {"sparse_vector": schemas.SparseValues([7], values)}
        given |= {"vector": [1.0, 0.0]} if row is None else {"id": "a"}
        question = questions.parse(schemas.Query(top_k=1, **given), "", index)
        if row is not None:
            question.with_row(row, index.serving)
        return keys.key_of(question, "")

    def row(*values):
        pairs = sparse.Pairs(np.array([7], np.uint32), np.array(values, np.float32)) if values else None
        return routing.Row("a", np.array([1, 0], np.float32), pairs=pairs)

    drawn = [key(), key([1.0]), key([2.0]), key(row=row(3)), key(row=row(4))]
    assert len(set(drawn)) == len(drawn)
    assert key([1.0]) == drawn[1]
    assert key(row=row()) == drawn[0]
