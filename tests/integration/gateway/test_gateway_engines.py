"""Every engine and every code, of values and of vector fields, asked once their segments are built."""

import time

import numpy as np
import pytest

ROWS, DIMENSIONS = 2_000, 16
BUILD_SECONDS = 60
CHOICES = [
    ({"engine": "hnsw"}, {"efSearch": 300}),
    ({"engine": "hnswlib"}, {"efSearch": 300}),
    ({"engine": "ivf"}, {"probes": 1_000}),
    ({"engine": "hnsw", "quantization": {"kind": "sq8"}}, {"efSearch": 300}),
    ({"engine": "ivf", "quantization": {"kind": "float16"}}, {"probes": 1_000}),
    ({"engine": "flat", "quantization": {"kind": "pq", "ratio": 4}}, {"oversampling": 20}),
    ({"engine": "hnsw", "quantization": {"kind": "rabitq"}}, {"efSearch": 1_000, "oversampling": 50}),
]

FIELD_CODES = [
    {"title": {"kind": "float16"}, "tokens": {"kind": "sq8"}},
    {"title": {"kind": "pq", "ratio": 8}, "tokens": {"kind": "rabitq"}},
]


@pytest.fixture(scope="module")
def stored():
    """Vectors that lie in clumps, as embeddings do."""
    random = np.random.default_rng(11)
    centres = random.standard_normal((40, DIMENSIONS)) * 3
    return (centres[np.arange(ROWS) % 40] + random.standard_normal((ROWS, DIMENSIONS))).astype(np.float32)


def wait_until_built(http, vector):
    """Return once no row is in a growing segment."""
    deadline = time.monotonic() + BUILD_SECONDS
    body = {"topK": 1, "vector": vector.tolist(), "explain": True}
    while time.monotonic() < deadline:
        (shard,) = http.post("/query", json=body).json()["explain"]["vector"]["shards"]
        rows = {one["segment"]: one["rows"] for one in shard["segments"]}
        if rows.pop("growing", 0) == 0 and sum(rows.values()) == ROWS:
            return
        time.sleep(0.1)
    raise AssertionError(f"not built after {BUILD_SECONDS} s")


@pytest.mark.parametrize(("generation", "params"), CHOICES, ids=lambda value: str(value)[:60])
def test_what_is_found_hardly_differs_from_exact_search(make_fleet, stored, generation, params):
    """Recall@10 at least 0.95 where a query asks for effort; and exact search finds all."""
    serving = {"dimensions": DIMENSIONS, "metric": "euclidean"} | generation
    with make_fleet(shards=1, serving=serving, tuning={"settle_seconds": 0.1}).http() as http:
        for start in range(0, ROWS, 1_000):
            rows = [
                {"id": str(number), "values": stored[number].tolist()}
                for number in range(start, start + 1_000)
            ]
            assert http.post("/vectors/upsert", json={"vectors": rows}).status_code == 200
        wait_until_built(http, stored[0])
        hits = 0
        for query in stored[:20] + 0.1:
            best = {str(number) for number in np.argsort(((stored - query) ** 2).sum(axis=1))[:10]}
            hits += len(best & set(matches(http, query, params)))
            assert set(matches(http, query, {"exact": True})) == best
        assert hits >= 0.95 * 200


def matches(http, query, params):
    """Return the ids that a query finds."""
    body = {"topK": 10, "vector": query.tolist(), "params": params}
    answer = http.post("/query", json=body)
    assert answer.status_code == 200, answer.text
    return [match["id"] for match in answer.json()["matches"]]


@pytest.fixture(scope="module")
def named():
    """Rows that lie in clumps: values of 4, a title of 16, and one to three tokens of 8 dimensions."""
    random = np.random.default_rng(11)

    def clumped(count, dimensions):
        centres = 3 * random.standard_normal((40, dimensions))
        return (centres[random.integers(0, 40, count)] + random.standard_normal((count, dimensions))).tolist()

    values, titles = clumped(ROWS, 4), clumped(ROWS, 16)
    return [
        {
            "id": f"r{row}",
            "values": values[row],
            "vectors": {"title": titles[row], "tokens": clumped(row % 3 + 1, 8)},
        }
        for row in range(ROWS)
    ]


def fleet_of(make_fleet, codes):
    """Return one shard whose rows have a title and tokens in these codes."""
    fields = [
        {"name": "title", "dimensions": 16, "quantization": codes["title"]},
        {"name": "tokens", "dimensions": 8, "lateInteraction": True, "quantization": codes["tokens"]},
    ]
    serving = {"metric": "cosine", "hnsw": {"m": 4}, "vectors": fields}
    return make_fleet(shards=1, serving=serving, tuning={"settle_seconds": 0.1})


def wait_until_coded(fleet):
    """Return once a segment has codes of both fields."""
    deadline, segments = time.monotonic() + BUILD_SECONDS, fleet.folder / "data-0" / "segments"
    while not all(any(segments.glob(f"*/field-{number}-codes.faiss")) for number in (0, 1)):
        assert time.monotonic() < deadline, f"no codes after {BUILD_SECONDS} s"
        time.sleep(0.1)


def weighed(http, row, **params):
    """Return what a query weighed over values, title and tokens of a row finds: id and score."""
    body = {
        "topK": 10,
        "vector": row["values"],
        "vectors": row["vectors"],
        "weights": {"values": 0.1, "title": 1, "tokens": 0.5},
        "params": params,
    }
    answer = http.post("/query", json=body)
    assert answer.status_code == 200, answer.text
    return {match["id"]: match["score"] for match in answer.json()["matches"]}


@pytest.mark.parametrize("codes", FIELD_CODES, ids=["float16-sq8", "pq-rabitq"])
def test_what_is_found_by_codes_hardly_differs_from_exact_search(make_fleet, named, codes):
    """Recall@10 at least 0.95, and the scores of an exact search: of a sum, and as values come back."""
    fleet = fleet_of(make_fleet, codes)
    with fleet.http() as http:
        for start in range(0, ROWS, 500):
            answer = http.post("/vectors/upsert", json={"vectors": named[start : start + 500]})
            assert answer.status_code == 200
        wait_until_coded(fleet)
        hits = 0
        for row in named[:400:20]:
            found, right = weighed(http, row, efSearch=200), weighed(http, row, exact=True)
            hits += len(found.keys() & right.keys())
            both = sorted(found.keys() & right.keys())
            assert [found[row_id] for row_id in both] == pytest.approx(
                [right[row_id] for row_id in both], rel=1e-5
            )
        assert hits >= 0.95 * 200
        back = http.get("/vectors/fetch", params={"ids": "r7"}).json()["vectors"]["r7"]["vectors"]
        assert np.array_equal(np.float32(back["title"]), np.float32(named[7]["vectors"]["title"]))
        assert np.array_equal(np.float32(back["tokens"]), np.float32(named[7]["vectors"]["tokens"]))
