"""`/vectors/…` over exact shards in memory."""

import grpc
import pytest

ROW = {"id": "a", "values": [1.0, 2.0]}


async def fetch(gateway, *ids, namespace=""):
    """Return the vectors that exist, by id."""
    query = "&".join([*(f"ids={row_id}" for row_id in ids), f"namespace={namespace}"])
    answer = await gateway.ask("GET", "/vectors/fetch", query=query)
    assert answer.status == 200, answer.body
    return answer.json["vectors"]


async def page(gateway, query):
    """Return a page's ids and the token of the next one."""
    answer = await gateway.ask("GET", "/vectors/list", query=query)
    assert answer.status == 200, answer.body
    return [row["id"] for row in answer.json["vectors"]], answer.json.get("pagination", {}).get("next")


async def test_rows_are_written_and_read(gateway):
    """Values and metadata come back; what does not exist is left out."""
    sent = [("a", [0.1, 0.2], {"n": 1, "l": ["x"]}), ("b", [3.0, 4.0])]
    assert await gateway.upsert(sent) == {"upsertedCount": 2}
    assert await fetch(gateway, "a", "none", "b", "a") == {
        "a": {"id": "a", "values": [0.1, 0.2], "metadata": {"n": 1, "l": ["x"]}},
        "b": {"id": "b", "values": [3.0, 4.0]},
    }


async def test_an_upsert_replaces_the_whole_row(gateway):
    """Metadata of before is gone."""
    await gateway.upsert([("a", [1.0, 2.0], {"n": 1})])
    await gateway.upsert([("a", [2.0, 1.0])])
    assert await fetch(gateway, "a") == {"a": {"id": "a", "values": [2.0, 1.0]}}


async def test_the_last_row_of_an_id_counts(gateway):
    """Within one request as between two."""
    assert await gateway.upsert([("a", [1.0, 2.0]), ("a", [2.0, 1.0])]) == {"upsertedCount": 2}
    assert await fetch(gateway, "a") == {"a": {"id": "a", "values": [2.0, 1.0]}}


async def test_namespaces_are_apart(gateway):
    """The same id is another row in another namespace; `__default__` is the empty one."""
    await gateway.upsert([("a", [1.0, 2.0])])
    await gateway.upsert([("a", [3.0, 4.0])], namespace="shop")
    assert (await fetch(gateway, "a", namespace="__default__"))["a"]["values"] == [1.0, 2.0]
    assert (await fetch(gateway, "a", namespace="shop"))["a"]["values"] == [3.0, 4.0]


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "b", "values": [1.0]},
        {"id": "", "values": [1.0, 2.0]},
        {"id": "b", "values": [0.0, 0.0]},
        {"id": "b", "values": [1.0, 2.0], "metadata": {"x": None}},
        {"id": "b", "values": [1.0, 2.0], "metadata": {"x": "é" * 20_480}},
    ],
)
async def test_nothing_of_a_refused_batch_is_written(gateway, bad):
    """One row that is wrong refuses those that are right."""
    good = [{"id": f"r{number}", "values": [1.0, 2.0]} for number in range(50)]
    answer = await gateway.ask("POST", "/vectors/upsert", {"vectors": [*good, bad]})
    assert answer.status == 400
    assert [shard.calls for shard in gateway.shards] == [[], []]


async def test_a_thousand_vectors_are_the_limit(gateway):
    """1,000 are taken, 1,001 are not."""
    rows = [(f"r{number}", [1.0, 2.0]) for number in range(1000)]
    assert await gateway.upsert(rows) == {"upsertedCount": 1000}
    answer = await gateway.ask("POST", "/vectors/upsert", {"vectors": [ROW] * 1001})
    assert answer.status == 400
    assert "1001 vectors" in answer.json["message"]


async def test_a_write_that_a_shard_fails_is_no_success(gateway, refused):
    """503 names the shard, after every other shard has answered."""
    gateway.shards[1].failure = refused(grpc.StatusCode.UNAVAILABLE, "gone")
    rows = [{"id": f"r{number}", "values": [1.0, 2.0]} for number in range(20)]
    answer = await gateway.ask("POST", "/vectors/upsert", {"vectors": rows})
    assert (answer.status, answer.json["code"]) == (503, 14)
    assert answer.json["message"] == "shard 1 can't be reached"
    assert gateway.shards[0].rows


@pytest.mark.parametrize("query", ["", "ids=", "ids=a&other=1", "ids=a&namespace=x&namespace=y", "ids=%ff"])
async def test_fetches_that_are_refused(gateway, query):
    """No id, an empty one, an unknown field, a field given twice, no UTF-8."""
    assert (await gateway.ask("GET", "/vectors/fetch", query=query)).status == 400


async def test_ids_in_a_query_string_are_decoded_once(gateway):
    """An id may hold what URLs give a meaning."""
    await gateway.upsert([("a/b c&d=%41", [1.0, 2.0])])
    assert list(await fetch(gateway, "a%2Fb%20c%26d%3D%2541")) == ["a/b c&d=%41"]


async def test_an_update_merges_metadata_and_replaces_values(gateway):
    """Either alone, or both; the rest of the row stays."""
    await gateway.upsert([("a", [1.0, 2.0], {"n": 1, "m": 2})])
    for change in ({"setMetadata": {"n": 3}}, {"values": [5.0, 6.0]}):
        answer = await gateway.ask("POST", "/vectors/update", {"id": "a"} | change)
        assert (answer.status, answer.json) == (200, {})
    assert await fetch(gateway, "a") == {"a": {"id": "a", "values": [5.0, 6.0], "metadata": {"n": 3, "m": 2}}}


async def test_an_update_of_what_does_not_exist_changes_nothing(gateway):
    """As with Pinecone, it is no error."""
    answer = await gateway.ask("POST", "/vectors/update", {"id": "a", "values": [1.0, 2.0]})
    assert (answer.status, gateway.written) == (200, 0)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"setMetadata": {}},
        {"values": []},
        {"values": [1.0]},
        {"values": [0.0, 0.0]},
        {"setMetadata": {"x": None}},
        {"sparseValues": {"indices": [1], "values": [1.0]}},
    ],
)
async def test_updates_that_are_refused(gateway, change):
    """What changes nothing, or to something that an upsert would refuse."""
    await gateway.upsert([("a", [1.0, 2.0])])
    assert (await gateway.ask("POST", "/vectors/update", {"id": "a"} | change)).status == 400
    assert await fetch(gateway, "a") == {"a": {"id": "a", "values": [1.0, 2.0]}}


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ({"ids": ["a", "none"]}, {"b", "c"}),
        ({"filter": {"n": 1}}, {"c"}),
        ({"deleteAll": True}, set()),
        ({"ids": ["a"], "deleteAll": False}, {"b", "c"}),
        ({"ids": ["a"], "filter": None}, {"b", "c"}),
    ],
)
async def test_deletes(gateway, what, left):
    """By id, by filter, all; another namespace is left alone."""
    rows = [("a", [1.0, 2.0], {"n": 1}), ("b", [1.0, 2.0], {"n": 1}), ("c", [1.0, 2.0])]
    await gateway.upsert(rows)
    await gateway.upsert(rows, namespace="shop")
    answer = await gateway.ask("POST", "/vectors/delete", what)
    assert (answer.status, answer.json) == (200, {})
    assert set(await fetch(gateway, "a", "b", "c")) == left
    assert set(await fetch(gateway, "a", "b", "c", namespace="shop")) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"deleteAll": False},
        {"ids": []},
        {"ids": ["a"] * 1001},
        {"filter": {}},
        {"ids": ["a"], "deleteAll": True},
        {"ids": ["a"], "filter": {"n": 1}},
        {"filter": {"n": 1}, "deleteAll": True},
    ],
)
async def test_deletes_that_are_refused(gateway, what):
    """Exactly one thing is deleted by; an empty filter never means everything."""
    await gateway.upsert([("a", [1.0, 2.0], {"n": 1})])
    assert (await gateway.ask("POST", "/vectors/delete", what)).status == 400
    assert gateway.written == 1


async def test_ids_are_listed_in_order_page_by_page(gateway):
    """Ascending over all shards; the last page has no token."""
    await gateway.upsert([(f"r{number:02}", [1.0, 2.0]) for number in range(10)])
    first, token = await page(gateway, "limit=4")
    second, token = await page(gateway, f"limit=4&paginationToken={token}")
    third, end = await page(gateway, f"limit=4&paginationToken={token}")
    assert [first, second, third] == [
        ["r00", "r01", "r02", "r03"],
        ["r04", "r05", "r06", "r07"],
        ["r08", "r09"],
    ]
    assert end is None


async def test_a_full_last_page_has_no_token(gateway):
    """Nobody is sent for a page that is empty."""
    await gateway.upsert([(f"r{number}", [1.0, 2.0]) for number in range(4)])
    assert (await page(gateway, "limit=4"))[1] is None


async def test_a_token_stays_valid_while_rows_come_and_go(gateway):
    """Deleting the row that a page ended with, or adding one before it, neither repeats nor skips others."""
    await gateway.upsert([(f"r{number}", [1.0, 2.0]) for number in range(6)])
    _, token = await page(gateway, "limit=3")
    await gateway.ask("POST", "/vectors/delete", {"ids": ["r2", "r4"]})
    await gateway.upsert([("r0a", [1.0, 2.0]), ("r5a", [1.0, 2.0])])
    assert (await page(gateway, f"limit=3&paginationToken={token}"))[0] == ["r3", "r5", "r5a"]


async def test_ids_are_listed_by_prefix(gateway):
    """Only those that begin with it, in their namespace."""
    await gateway.upsert([(row_id, [1.0, 2.0]) for row_id in ("doc1#1", "doc1#2", "doc2#1", "d")])
    assert (await page(gateway, "prefix=doc1%23"))[0] == ["doc1#1", "doc1#2"]
    assert (await page(gateway, "prefix=doc1%23&namespace=shop"))[0] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=",
        "limit=10001",
        "limit=-1",
        "limit=x",
        "limit=1e2",
        "limit=٣",
        "paginationToken=x",
        "p=1",
    ],
)
async def test_listings_that_are_refused(gateway, query):
    """A page has 1 to 10,000 ids; tokens are those that the API gave."""
    assert (await gateway.ask("GET", "/vectors/list", query=query)).status == 400
