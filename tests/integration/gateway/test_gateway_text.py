"""Text through real shards: BM25 alone, fused with vectors, live under updates and deletes."""

import pytest

ROWS = {
    "apple": ([1, 0, 0, 0.1], "A sweet red fruit that grows on trees", "fruit"),
    "cherry": ([0.9, 0.1, 0, 0.1], "Small, round and red, on long stems", "fruit"),
    "brick": ([0, 0, 1, 0.1], "Baked clay, red or brown", "stone"),
    "slate": ([0, 0.1, 1, 0], "A grey stone that splits", "stone"),
}


@pytest.fixture
def http(make_fleet):
    """A client of two shards that hold four rows."""
    with make_fleet(schema={"text": ["about"]}).http() as client:
        rows = [
            {"id": row_id, "values": values, "metadata": {"about": about, "kind": kind}}
            for row_id, (values, about, kind) in ROWS.items()
        ]
        assert client.post("/vectors/upsert", json={"vectors": rows}).status_code == 200
        yield client


def found(http, **body):
    """Return the ids that a query finds, best first."""
    answer = http.post("/query", json={"topK": 10} | body)
    assert answer.status_code == 200, answer.text
    return [match["id"] for match in answer.json()["matches"]]


def test_words_are_stemmed_and_stop_words_dropped(http):
    """What grows is found by growing; what has none of the words is not found."""
    assert found(http, text="growing fruits") == ["apple"]
    assert found(http, text="that on or") == []


def test_text_is_filtered_and_namespaced(http):
    """Like any other query."""
    assert set(found(http, text="red")) == {"apple", "cherry", "brick"}
    assert found(http, text="red", filter={"kind": "stone"}) == ["brick"]
    assert found(http, text="red", namespace="other") == []


def test_text_lives(http):
    """An update is found by its new words at once and by its old ones no more; a deleted row by none."""
    http.post("/vectors/update", json={"id": "slate", "setMetadata": {"about": "Purple roofs"}})
    assert found(http, text="purple roof") == ["slate"]
    assert found(http, text="splits") == []
    http.post("/vectors/delete", json={"ids": ["brick"]})
    assert found(http, text="clay") == []


def test_vector_and_text_together(http):
    """By ranks what both lists have leads; by scores alpha chooses; the explanation has both lists."""
    body = {"vector": [1, 0, 0, 0.1], "text": "red clay"}
    assert found(http, **body)[:2] in (["apple", "brick"], ["brick", "apple"])
    assert found(http, **body, fusion={"method": "weighted", "alpha": 0})[0] == "brick"
    assert found(http, **body, fusion={"method": "weighted", "alpha": 1})[0] == "apple"
    assert "stone" not in {ROWS[row_id][2] for row_id in found(http, **body, filter={"kind": "fruit"})}
    told = http.post("/query", json={"topK": 1, "explain": True, **body}).json()
    assert told["explain"].keys() == {"vector", "text", "fusion"}
    assert told["matches"][0]["explain"].keys() == {"vector", "text"}
