"""Every engine and every code, asked through the gateway once their segments are built."""

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
