"""Vector fields through real shards: written, read, weighed, against numpy."""

import numpy as np
import pytest

FIELDS = [
    {"name": "title", "dimensions": 3},
    {"name": "tokens", "dimensions": 2, "lateInteraction": True},
]


@pytest.fixture(scope="module")
def fleet(make_fleet):
    """Two shards whose rows may have a title and tokens, under the dot product."""
    return make_fleet(serving={"metric": "dotproduct", "vectors": FIELDS})


@pytest.fixture(scope="module")
def http(fleet):
    """A client of them."""
    with fleet.http() as client:
        yield client


@pytest.fixture(scope="module")
def rows(http):
    """Sixty rows, written: each with values and a title, every second one with one to five tokens."""
    random = np.random.default_rng(5)
    found = {}
    for number in range(60):
        row = {"values": random.standard_normal(4), "title": random.standard_normal(3)}
        if number % 2:
            row["tokens"] = random.standard_normal((number % 5 + 1, 2))
        found[f"r{number}"] = {name: values.astype(np.float32) for name, values in row.items()}
    body = [
        {
            "id": row_id,
            "values": row["values"].tolist(),
            "vectors": {name: row[name].tolist() for name in ("title", "tokens") if name in row},
        }
        for row_id, row in found.items()
    ]
    assert post(http, "/vectors/upsert", vectors=body) == {"upsertedCount": 60}
    return found


def post(http, path, **body):
    """Return an answer, which is a success."""
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found_by(http, **body):
    """Return (id, score) of the matches."""
    return [(match["id"], match["score"]) for match in post(http, "/query", topK=60, **body)["matches"]]


def check(found, scores):
    """Compare matches with the scores of an exact search."""
    best = sorted(scores, key=lambda row_id: -scores[row_id])
    assert [row_id for row_id, _ in found] == best
    assert [score for _, score in found] == pytest.approx([scores[row_id] for row_id in best], abs=1e-4)


def test_rows_come_back_with_their_vectors(http, rows):
    """Bit for bit, by id and among matches; a row without tokens has none."""
    back = http.get("/vectors/fetch", params={"ids": ["r0", "r1"]}).json()["vectors"]
    for row_id in ("r0", "r1"):
        vectors = back[row_id]["vectors"]
        assert vectors.keys() == rows[row_id].keys() - {"values"}
        for name, values in vectors.items():
            assert np.array_equal(np.float32(values), rows[row_id][name])
    body = {"topK": 60, "vector": [1, 0, 0, 0], "includeValues": True}
    matches = {match["id"]: match["vectors"] for match in post(http, "/query", **body)["matches"]}
    assert matches["r1"] == back["r1"]["vectors"]
    assert matches.keys() == rows.keys()


def test_the_official_client_is_not_troubled(fleet, rows):
    """It reads rows that have vector fields as it reads others."""
    index = fleet.index()
    (match,) = index.query(id="r1", top_k=1, include_values=True, filter={"none": {"$exists": False}}).matches
    assert len(match.values) == 4
    fetched = index.fetch(["r1"]).vectors["r1"]
    assert np.array_equal(np.float32(fetched.values), rows["r1"]["values"])
    index.close()


def test_one_field(http, rows):
    """Its own vectors are compared, not the values."""
    query = np.float32([0.3, -1, 0.5])
    check(
        found_by(http, vectors={"title": query.tolist()}),
        {row_id: float(row["title"] @ query) for row_id, row in rows.items()},
    )


def test_a_weighted_sum_over_both_shards(http, rows):
    """Values and title, each with its weight."""
    vector, title = np.float32([1, 0.2, -0.3, 0.7]), np.float32([0.3, -1, 0.5])
    check(
        found_by(
            http,
            vector=vector.tolist(),
            vectors={"title": title.tolist()},
            weights={"values": 0.5, "title": 2},
        ),
        {
            row_id: 0.5 * float(row["values"] @ vector) + 2 * float(row["title"] @ title)
            for row_id, row in rows.items()
        },
    )


def test_late_interaction(http, rows):
    """MaxSim: each token of the query has its best of the row's; rows without tokens are not found."""
    tokens = np.float32([[1, 0], [0.5, -1], [0, 1]])
    check(
        found_by(http, vectors={"tokens": tokens.tolist()}),
        {
            row_id: float((tokens @ row["tokens"].T).max(axis=1).sum())
            for row_id, row in rows.items()
            if "tokens" in row
        },
    )


def test_vectors_are_updated_alone(http, rows):
    """The values stay; null removes a field."""
    changed = {"title": [1, 1, 1], "tokens": None}
    assert post(http, "/vectors/update", id="r59", vectors=changed) == {}
    row = http.get("/vectors/fetch", params={"ids": "r59"}).json()["vectors"]["r59"]
    assert row["vectors"] == {"title": [1, 1, 1]}
    assert np.array_equal(np.float32(row["values"]), rows["r59"]["values"])
    rows["r59"] = {"values": rows["r59"]["values"], "title": np.float32([1, 1, 1])}


def test_an_answer_is_explained(http, rows):
    """Both shards tell of their segments, for a sum as for a plain vector."""
    for body in ({"vector": [1, 0, 0, 0]}, {"vectors": {"title": [1, 0, 0]}}):
        told = post(http, "/query", topK=3, explain=True, **body)["explain"]["vector"]
        assert (told["candidates"], len(told["shards"])) == (3, 2)
        passing = [segment["passing"] for shard in told["shards"] for segment in shard["segments"]]
        assert sum(passing) == len(rows)
        assert {shard["shard"] for shard in told["shards"]} == {0, 1}


def test_what_a_shard_refuses_is_told(http):
    """Its words reach the caller as 400."""
    answer = http.post("/query", json={"topK": 1, "vectors": {"tokens": [[1, 2]]}, "weights": {"tokens": -1}})
    assert answer.status_code == 400
    assert "negative" in answer.json()["message"]
