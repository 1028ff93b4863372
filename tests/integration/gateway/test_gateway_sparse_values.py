"""Sparse values by the official client, sync and asyncio, through two real shards; through restarts too."""

import time

import numpy as np
import pinecone
import pytest

SPARSE = {"indices": [7, 2**32 - 1, 0], "values": [0.5, -2.0, 1.0]}
ROWS = 300


@pytest.fixture(scope="module")
def fleet(make_fleet):
    """Two shards that score by dot product, and build graphs over few rows."""
    return make_fleet(serving={"metric": "dotproduct"}, tuning={"index_min_rows": 40, "settle_seconds": 0.1})


@pytest.fixture
def index(fleet):
    """An empty index, by the official client."""
    with fleet.index() as found:
        for namespace in ("", "big", "other"):
            found.delete(delete_all=True, namespace=namespace)
        yield found


def drawn(count=ROWS):
    """Return rows of four values and, all but every seventh, sparse values of skewed dimensions."""
    numbers = np.random.default_rng(3)
    rows = []
    for number in range(count):
        row = {"id": f"r{number}", "values": numbers.normal(size=4).tolist(), "metadata": {"n": number}}
        indices = np.unique(np.minimum(numbers.zipf(1.4, 10), 2**32 - 1))
        if number % 7:
            values = numbers.exponential(size=len(indices)).astype(np.float32)
            row["sparse_values"] = {"indices": indices.tolist(), "values": values.tolist()}
        rows.append(row)
    return rows


def score(row, vector, sparse):
    """Return dense and sparse dot product, in float64."""
    own = row.get("sparse_values", {"indices": [], "values": []})
    weights = dict(zip(sparse["indices"], sparse["values"], strict=True))
    products = [weights.get(i, 0) * v for i, v in zip(own["indices"], own["values"], strict=True)]
    return float(np.dot(np.float32(row["values"]).astype(float), vector)) + sum(products)


def check(index, rows, **options):
    """Compare what a hybrid query finds with every row's score."""
    vector, sparse = [0.3, -0.2, 0.5, 0.1], {"indices": [1, 2, 3, 50], "values": [0.2, 0.7, 1.5, 3.0]}
    found = index.query(vector=vector, sparse_vector=sparse, top_k=20, **options).matches
    scores = {row["id"]: score(row, vector, sparse) for row in rows}
    best = sorted(scores.values(), reverse=True)[:20]
    assert [match.score for match in found] == pytest.approx(best, rel=1e-5, abs=1e-6)
    assert [scores[match.id] for match in found] == pytest.approx(best, rel=1e-5, abs=1e-6)


def pairs(row):
    """Return a row's sparse values as lists, None where it has none."""
    return row.sparse_values and (list(row.sparse_values.indices), list(row.sparse_values.values))


def test_every_way_to_write_them(index):
    """The client's own types and dictionaries, such as it makes of a data frame; order is kept."""
    vector = pinecone.Vector(
        "a", [1.0, 2.0, 3.0, 4.0], sparse_values=pinecone.SparseValues(SPARSE["indices"], SPARSE["values"])
    )
    index.upsert([vector, {"id": "b", "values": [1.0] * 4, "sparse_values": SPARSE}, ("c", [1.0] * 4)])
    cells = [("d", SPARSE), ("e", None)]  # pandas itself is no dependency of the tests
    index.upsert(
        [{"id": one, "values": [1.0] * 4, "sparse_values": pairs, "metadata": {}} for one, pairs in cells]
    )
    rows = index.fetch(["a", "b", "c", "d", "e"]).vectors
    told = {row_id: pairs(row) for row_id, row in rows.items()}
    whole = (SPARSE["indices"], SPARSE["values"])
    assert told == {"a": whole, "b": whole, "c": None, "d": whole, "e": None}
    matches = index.query(vector=[1.0] * 4, sparse_vector=SPARSE, top_k=5, include_values=True).matches
    assert {match.id: pairs(match) for match in matches} == told


def test_a_hybrid_query_is_exact_through_builds_restarts_and_filters(fleet, index):
    """In memory, in graphs with postings beside them, and of what a killed shard finds again."""
    rows = drawn()
    index.upsert(rows, namespace="big", batch_size=100, show_progress=False)
    check(index, rows, namespace="big")
    with fleet.http() as http:
        body = {"topK": 1, "vector": [1, 0, 0, 0], "namespace": "big", "explain": True}
        deadline = time.monotonic() + 60
        while True:
            shards = http.post("/query", json=body).json()["explain"]["vector"]["shards"]
            held = [one["segment"] for shard in shards for one in shard["segments"] if one["passing"]]
            if "growing" not in held:
                break
            assert time.monotonic() < deadline, held
            time.sleep(0.1)
        body |= {"sparseVector": {"indices": [1, 99_999], "values": [1, 1]}}
        told = http.post("/query", json=body).json()
        having = sum(1 in row.get("sparse_values", {"indices": []})["indices"] for row in rows)
        shards = told["explain"]["vector"]["shards"]
        assert [one["sparse"]["asked"] for one in shards] == [2, 2]
        assert sum(one["sparse"]["rows"] for one in shards) == having
        [match] = told["matches"]
        assert match["explain"]["dense"] + match["explain"]["sparse"] == pytest.approx(match["score"])
    check(index, rows, namespace="big")
    few = [row for row in rows if row["metadata"]["n"] >= 200]
    check(index, few, namespace="big", filter={"n": {"$gte": 200}})
    index.delete(ids=[row["id"] for row in rows[::2]], namespace="big")
    check(index, rows[1::2], namespace="big")
    for shard in fleet.shards:
        shard.kill()
        shard.start()
    for shard in fleet.shards:
        shard.ready()
    check(index, rows[1::2], namespace="big")
    assert index.query(vector=[1.0] * 4, sparse_vector=SPARSE, top_k=1, namespace="other").matches == []


def test_updates_and_queries_by_id(index):
    """An update sets sparse values alone; a query by id takes both vectors of its row."""
    index.upsert([("a", [1.0, 0.0, 0.0, 0.0]), ("b", [0.5, 0.0, 0.0, 0.0])])
    index.update("a", sparse_values={"indices": [5], "values": [2.0]})
    index.update("b", values=[0.25, 0.0, 0.0, 0.0], sparse_values=SPARSE, set_metadata={"x": 1})
    rows = index.fetch(["a", "b"]).vectors
    assert (rows["a"].values, pairs(rows["a"])) == ([1.0, 0.0, 0.0, 0.0], ([5], [2.0]))
    assert (rows["b"].values, pairs(rows["b"])) == (
        [0.25, 0.0, 0.0, 0.0],
        (SPARSE["indices"], SPARSE["values"]),
    )
    found = {match.id: match.score for match in index.query(id="a", top_k=2).matches}
    assert found == {"a": 1.0 + 4.0, "b": 0.25}


async def test_the_asyncio_client(fleet, index):
    """The same calls, and query_namespaces over two of them."""
    async with pinecone.Pinecone(api_key="integration-key").IndexAsyncio(host=fleet.host) as found:
        for number, namespace in enumerate(("big", "other")):
            pair = {"indices": [1], "values": [1.0 + number]}
            await found.upsert(
                [{"id": namespace, "values": [1.0] * 4, "sparse_values": pair}], namespace=namespace
            )
        asked = {"vector": [0.0, 0.0, 0.0, 1.0], "sparse_vector": {"indices": [1], "values": [10.0]}}
        matches = (await found.query(**asked, top_k=1, namespace="big")).matches
        assert [(match.id, match.score) for match in matches] == [("big", 11.0)]
        await found.update("big", sparse_values={"indices": [9], "values": [1.0]}, namespace="big")
        assert pairs((await found.fetch(["big"], namespace="big")).vectors["big"]) == ([9], [1.0])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda index: index.query(sparse_vector=SPARSE, top_k=1), "with only sparse vector"),
        (
            lambda index: index.upsert(
                [{"id": "a", "values": [1.0] * 4, "sparse_values": {"indices": [3, 3], "values": [1.0, 2.0]}}]
            ),
            "id 'a': sparseValues: index 3 comes twice",
        ),
        (lambda index: index.update("a", sparse_values={"indices": [], "values": []}), "at least one value"),
    ],
)
def test_refusals_reach_the_caller(index, call, said):
    """As the client's exception, with the gateway's words."""
    with pytest.raises(pinecone.exceptions.PineconeApiException) as caught:
        call(index)
    assert caught.value.status == 400
    assert said in caught.value.body
