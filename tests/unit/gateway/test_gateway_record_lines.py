"""Records: lines of text, and searches in Pinecone's other words."""

import json
import tracemalloc

import pytest

from vectorfleet_gateway import errors, limits, record_schemas, records, schemas
from vectorfleet_shardnode.api import config

SEARCH = "/records/namespaces/shop/search"
INDEX = config.IndexConfig(
    index="test", serving={"dimensions": 2}, reranker={"url": "http://reranker/v1", "model": "judge"}
)
_decode = schemas.decoder(record_schemas.Search)


def lines(*rows):
    """Return records, each on a line."""
    return b"\n".join(json.dumps(row).encode() for row in rows)


def wanted(**body):
    """Return a search as a query."""
    return records.question(_decode(json.dumps(body).encode()), "shop", INDEX)


def test_a_line_is_a_row():
    """Its id by either name, its text, and all but the id as metadata; blank lines are none."""
    body = lines({"_id": "a", "body": "red"}, {"id": "b", "body": "blue", "n": 1}) + b"\r\n\n"
    first, second = records.parse(body, "body")
    assert (first.id, first.text, first.metadata) == ("a", "red", {"body": "red"})
    assert (second.id, second.text, second.metadata) == ("b", "blue", {"body": "blue", "n": 1})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no record"),
        (b" \n\n", "no record"),
        (b'{"_id": "a", "body": "x"}\n{', "line 2: the body is not valid JSON"),
        (b'[{"_id": "a", "body": "x"}]', "line 1: the body does not fit"),
        (b'{"_id": "a", "body": "x", "n": 1, "n": 2}', "line 1: the body names the field 'n' twice"),
        (lines({"body": "x"}), "line 1: a record needs its id"),
        (lines({"_id": "a", "id": "a", "body": "x"}), "not both"),
        (lines({"_id": 7, "body": "x"}), "_id is no string"),
        (lines({"_id": "a"}), "'a' has no text in the field 'body'"),
        (lines({"_id": "a", "body": ["x"]}), "no text in the field"),
        (b"\xff", "line 1: the body is not"),
    ],
)
def test_what_is_no_record_is_named_by_its_line(body, said):
    """With what would be right."""
    with pytest.raises(errors.InvalidArgumentError, match=said):
        records.parse(body, "body")


def test_a_request_has_a_bound():
    """As upserts of rows have."""
    rows = [{"_id": str(number), "body": "x"} for number in range(limits.MAX_VECTORS + 1)]
    assert len(records.parse(lines(*rows[:-1]), "body")) == limits.MAX_VECTORS
    with pytest.raises(errors.InvalidArgumentError, match="smaller batches"):
        records.parse(lines(*rows), "body")


def test_a_search_is_a_query():
    """Text, vector, id and filter keep their meaning; a reranker looks at top_k rows and leaves top_n."""
    query = wanted(
        query={"top_k": 9, "inputs": {"text": "t"}, "vector": {"values": [1, 2]}, "filter": {"a": 1}},
        rerank={"model": "judge", "rank_fields": ["body"], "top_n": 2},
    )
    assert (query.top_k, query.text, query.vector, query.filter) == (2, "t", [1, 2], {"a": 1})
    assert (query.rerank.field, query.rerank.candidates, query.namespace) == ("body", 9, "shop")
    assert wanted(query={"top_k": 3, "id": "a"}, fields=["*"]).include_metadata is True
    vector = {"values": [1, 2], "sparse_indices": [7, 3], "sparse_values": [0.5, 1]}
    found = wanted(query={"top_k": 3, "vector": vector}).sparse_vector
    assert (found.indices, found.values) == ([7, 3], [0.5, 1])
    assert wanted(query={"top_k": 3, "id": "a"}, fields=[]).include_metadata is False


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"query": {"top_k": 1, "match_terms": {"terms": ["x"]}}}, "match_terms"),
        ({"query": {"top_k": 1, "vector": {"values": [1.0], "sparse_indices": [3]}}}, "needs both of sparse"),
        ({"rerank": {"model": "other", "rank_fields": ["b"]}}, "the index's reranker is 'judge'"),
        ({"rerank": {"model": "judge", "rank_fields": ["a", "b"]}}, "one metadata field"),
        ({"rerank": {"model": "judge", "rank_fields": ["a"], "parameters": {"x": 1}}}, "parameters"),
        ({"rerank": {"model": "judge", "rank_fields": ["a"], "top_n": 3}}, "top_n"),
        ({"query": {"topK": 1}}, "topK"),
    ],
)
def test_what_is_not_served_is_refused_by_name(body, said):
    """And never ignored."""
    usual = {"query": {"top_k": 2, "inputs": {"text": "t"}}}
    with pytest.raises(errors.InvalidArgumentError, match=said):
        wanted(**usual | body)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (None, {"n": 1, "color": "red"}),
        (["*"], {"n": 1, "color": "red"}),
        (["n", "other"], {"n": 1}),
        ([], {}),
    ],
)
async def test_hits_have_the_fields_asked_for(gateway, fields, told):
    """All of the metadata unless the search names some; ids and scores in any case."""
    await gateway.upsert([("a", [1, 0], {"n": 1, "color": "red"}), ("b", [0, 1])], "shop")
    body = {"query": {"top_k": 2, "vector": {"values": [1, 0]}}} | (
        {} if fields is None else {"fields": fields}
    )
    done = await gateway.ask("POST", SEARCH, body)
    assert done.status == 200
    assert done.json == {
        "result": {
            "hits": [
                {"_id": "a", "_score": 1.0, "fields": told},
                {"_id": "b", "_score": 0.0, "fields": {}},
            ]
        },
        "usage": {"read_units": 2},
    }


async def test_a_row_that_is_not_there_is_near_to_nothing(gateway):
    """No hits, in the form of a search."""
    done = await gateway.ask("POST", SEARCH, {"query": {"top_k": 2, "id": "none"}})
    assert (done.status, done.json["result"]) == (200, {"hits": []})


async def test_records_need_an_embedder(gateway):
    """400 that says so, and nothing is written."""
    done = await gateway.ask("POST", "/records/namespaces/shop/upsert", lines({"_id": "a", "text": "x"}))
    assert done.status == 400
    assert "embedder" in done.json["message"]
    assert gateway.written == 0


async def test_a_namespace_may_have_slashes(gateway):
    """What stands between the words of the path is its name, whatever it holds."""
    await gateway.upsert([("a", [1, 0])], "a/upsert/search")
    body = {"query": {"top_k": 1, "id": "a"}}
    done = await gateway.ask("POST", "/records/namespaces/a/upsert/search/search", body)
    assert [hit["_id"] for hit in done.json["result"]["hits"]] == ["a"]


def test_endless_lines_take_no_memory():
    """Lines are taken one by one; blank ones are passed over, and their numbers count."""
    body = b"\n \r\n" * 500_000 + b" x\n"
    tracemalloc.start()
    try:
        with pytest.raises(errors.InvalidArgumentError, match="line 1000001: the body is not valid JSON"):
            records.parse(body, "body")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
