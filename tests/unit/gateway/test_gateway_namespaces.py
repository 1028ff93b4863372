"""`/describe_index_stats` and `/namespaces` over exact shards in memory."""

import pytest

ROWS = [(f"r{number}", [1.0, 2.0], {"even": number % 2 == 0}) for number in range(10)]


@pytest.fixture
async def filled(gateway):
    """Ten rows in the default namespace, five in `shop`, one in `a/b`."""
    await gateway.upsert(ROWS)
    await gateway.upsert(ROWS[:5], namespace="shop")
    await gateway.upsert(ROWS[:1], namespace="a/b")
    return gateway


async def test_stats(filled):
    """Pinecone's shape; the default namespace is "" there."""
    answer = await filled.ask("POST", "/describe_index_stats", {})
    assert answer.json == {
        "namespaces": {"": {"vectorCount": 10}, "a/b": {"vectorCount": 1}, "shop": {"vectorCount": 5}},
        "dimension": 2,
        "indexFullness": 0.0,
        "totalVectorCount": 16,
        "metric": "cosine",
        "vectorType": "dense",
    }


async def test_stats_take_no_body_at_all(filled):
    """As Pinecone's do."""
    assert (await filled.ask("POST", "/describe_index_stats")).json["totalVectorCount"] == 16


async def test_stats_with_a_filter(filled):
    """Only rows that pass are counted; an empty filter counts all."""
    answer = await filled.ask("POST", "/describe_index_stats", {"filter": {"even": True}})
    assert answer.json["namespaces"]["shop"] == {"vectorCount": 3}
    answer = await filled.ask("POST", "/describe_index_stats", {"filter": {}})
    assert answer.json["totalVectorCount"] == 16


async def test_an_empty_index_has_no_namespaces(gateway):
    """A namespace exists while it has rows."""
    assert (await gateway.ask("POST", "/describe_index_stats", {})).json["namespaces"] == {}
    assert (await gateway.ask("GET", "/namespaces")).json == {"namespaces": []}


async def test_namespaces_are_listed_by_name_page_by_page(filled):
    """The default one is called `__default__`, which can stand in a path."""
    first = (await filled.ask("GET", "/namespaces", query="limit=2")).json
    assert first["namespaces"] == [
        {"name": "__default__", "record_count": 10},
        {"name": "a/b", "record_count": 1},
    ]
    token = first["pagination"]["next"]
    last = (await filled.ask("GET", "/namespaces", query=f"limit=2&paginationToken={token}")).json
    assert last == {"namespaces": [{"name": "shop", "record_count": 5}]}


@pytest.mark.parametrize(("name", "rows"), [("shop", 5), ("a/b", 1), ("__default__", 10)])
async def test_a_namespace_is_described_and_deleted(filled, name, rows):
    """Then it is not there any more, and the others are."""
    assert (await filled.ask("GET", f"/namespaces/{name}")).json == {"name": name, "record_count": rows}
    answer = await filled.ask("DELETE", f"/namespaces/{name}")
    assert (answer.status, answer.json) == (200, {})
    assert (await filled.ask("GET", f"/namespaces/{name}")).status == 404
    assert filled.written == 16 - rows


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_namespace_that_does_not_exist(filled, method):
    """404 in Pinecone's form."""
    answer = await filled.ask(method, "/namespaces/none")
    assert (answer.status, answer.json["code"]) == (404, 5)
    assert "'none'" in answer.json["message"]


@pytest.mark.parametrize("query", ["limit=0", "limit=a", "paginationToken=%20", "namespace=shop"])
async def test_listings_that_are_refused(filled, query):
    """The same limits as for ids."""
    assert (await filled.ask("GET", "/namespaces", query=query)).status == 400
