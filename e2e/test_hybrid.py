"""Story: a manifest with a schema, vector fields and compression; rows asked by all of them; then tuned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cluster import errors
from harness import handle, index, stopwatch

import vectorfleet

ROWS = 1_500
SECTIONS = ("sports", "science", "arts")
WORDS = ("rivers", "mountains", "engines", "bridges", "painters", "novels", "tides")
SPEC = {
    "metric": "cosine",
    "shards": 2,
    "index": {"profile": "balanced"},
    "quantization": {"type": "sq8", "rescore": {"oversampling": 6}},
    "vectors": [
        {"name": "title", "dimensions": 8},
        {"name": "tokens", "dimensions": 4, "lateInteraction": True},
    ],
    "schema": {
        "fields": [{"name": "section", "type": "keyword"}, {"name": "published", "type": "datetime"}],
        "text": ["body"],
    },
}


@pytest.fixture(scope="module")
def articles(operator: handle.Handle, namespace: str) -> index.Index:
    """The index, Ready."""
    operator.kubectl.apply(index.build(namespace, "articles", **SPEC))
    made = index.Index(operator, namespace, "articles")
    made.wait_until_ready()
    return made


@pytest.fixture(scope="module")
def stored(articles: index.Index) -> dict[str, np.ndarray]:
    """Rows, written through the Service: values, a title, tokens, a section and a day."""
    columns = {"values": index.vectors(ROWS), "title": index.vectors(ROWS, 8, seed=8)}
    columns["tokens"] = np.random.default_rng(9).standard_normal((ROWS, 3, 4)).astype(np.float32)
    rows = (
        {
            "id": str(n),
            "values": columns["values"][n],
            "vectors": {"title": columns["title"][n], "tokens": columns["tokens"][n]},
            "metadata": {
                "section": SECTIONS[n % 3],
                "published": f"2026-01-{n % 28 + 1:02}T12:00:00Z",
                "body": f"an article about {WORDS[n % 7]}" + (" and comets" if n == 4 else ""),
            },
        }
        for n in range(ROWS)
    )
    with articles.client() as client:
        result = client.upsert_batch(rows)
    assert result.failed == 0, result.errors
    return columns


def test_rows_come_back_whole(articles: index.Index, stored: dict[str, np.ndarray]) -> None:
    """Full vectors, bit for bit, though what is searched is compressed."""
    with articles.client() as client:
        row = client.fetch(["7"]).vectors["7"]
    assert row.vectors is not None
    assert np.array_equal(row.values, stored["values"][7])
    assert np.array_equal(row.vectors["title"], stored["title"][7])
    assert np.array_equal(row.vectors["tokens"], stored["tokens"][7])


def test_filtered_weighted_query(
    articles: index.Index, stored: dict[str, np.ndarray], timed: stopwatch.Stopwatch
) -> None:
    """The best of one section and week by values and title together are those that numpy finds."""
    week = {"section": "science", "published": {"$gte": "2026-01-08", "$lt": "2026-01-15T00:00:00+00:00"}}
    passing = [n for n in range(ROWS) if n % 3 == 1 and 7 <= n % 28 <= 13]
    scores = cosine(stored["values"], stored["values"][3]) + 2 * cosine(stored["title"], stored["title"][4])
    best = sorted(passing, key=lambda n: -scores[n])[:5]
    with articles.client() as client, timed("filtered query by values and title"):
        found = client.query(
            stored["values"][3],
            vectors={"title": stored["title"][4]},
            weights={"title": 2},
            filter=week,
            top_k=5,
        )

    assert [match.id for match in found.matches] == [str(n) for n in best]
    assert [match.score for match in found.matches] == pytest.approx([scores[n] for n in best], abs=1e-4)


def test_hybrid_filtered_query(
    articles: index.Index, stored: dict[str, np.ndarray], timed: stopwatch.Stopwatch
) -> None:
    """Words and vector together, within one section: what both say is first, and nothing else passes."""
    with articles.client() as client:
        only = client.query(text="a comet", top_k=5).matches
        with timed("hybrid filtered query"):
            found = client.query(
                stored["values"][4],
                text="painting comets",
                filter={"section": "science"},
                top_k=5,
                include_metadata=True,
            )

    assert [match.id for match in only] == ["4"]
    assert found.matches[0].id == "4"
    assert {match.metadata["section"] for match in found.matches if match.metadata} == {"science"}


def test_late_interaction(articles: index.Index, stored: dict[str, np.ndarray]) -> None:
    """A row's own tokens are nearest to themselves, each with cosine 1."""
    with articles.client() as client:
        (best,) = client.query(vectors={"tokens": stored["tokens"][11]}, top_k=1).matches
    assert best.id == "11"
    assert best.score == pytest.approx(3, abs=1e-4)


def test_wrong_types_are_refused_whole(articles: index.Index, stored: dict[str, np.ndarray]) -> None:
    """Of a request with one wrong date nothing is written, on neither shard."""
    rows: list[dict[str, Any]] = [{"id": f"new-{n}", "values": stored["values"][n]} for n in range(20)]
    rows[13]["metadata"] = {"published": "last week"}
    with articles.client() as client:
        with pytest.raises(vectorfleet.BadRequestError, match="declared datetime"):
            client.upsert(rows)
        assert client.stats().total_vector_count == ROWS


def test_search_is_tuned_without_a_restart_of_shards(
    articles: index.Index, stored: dict[str, np.ndarray], timed: stopwatch.Stopwatch
) -> None:
    """A new efSearch rolls the gateways alone; the shards' pods stay as they are."""
    before = {pod["metadata"]["uid"] for pod in articles.owned("pod") if is_shard(pod)}
    with timed("efSearch changed → rolled"):
        articles.kubectl(
            "patch", "vi", "articles", "--type=merge", "-p", '{"spec": {"index": {"efSearch": 300}}}'
        )
        articles.wait_until_seen()
        articles.wait_until_ready()

    assert {pod["metadata"]["uid"] for pod in articles.owned("pod") if is_shard(pod)} == before
    assert '"efSearch": 300' in articles.get("configmap", "articles-config")["data"]["index.json"]
    with articles.client() as client:
        assert client.query(stored["values"][5], top_k=1).matches[0].id == "5"


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ('{"spec": {"quantization": {"type": "float16"}}}', "spec.quantization.type is immutable"),
        ('{"spec": {"index": {"m": 8, "profile": null}}}', "spec.index.profile is immutable"),
        ('{"spec": {"vectors": null}}', "spec.vectors is immutable"),
    ],
)
def test_what_a_generation_is_built_from_stays(articles: index.Index, patch: str, said: str) -> None:
    """The API server says so, with no operator asked."""
    with pytest.raises(errors.CommandFailedError, match=said):
        articles.kubectl("patch", "vi", "articles", "--type=merge", "-p", patch)


def test_an_unfit_code_is_told(operator: handle.Handle, namespace: str) -> None:
    """RecallLow in shard and index, with an event; a lower floor ends it."""
    spec = {"shards": 1, "quantization": {"type": "rabitq", "rescore": {"enabled": False}, "recallFloor": 1}}
    operator.kubectl.apply(index.build(namespace, "coarse", **spec))
    coarse = index.Index(operator, namespace, "coarse")
    coarse.wait_until_ready()
    index.load(coarse, 2_000)
    index.wait_until(lambda: coarse.condition("RecallLow").get("status") == "True")

    assert coarse.condition("RecallLow")["message"].startswith("shard 0: rabitq is unfit")
    assert coarse.condition("Ready")["status"] == "True"
    (shard,) = coarse.owned("vectorshard")
    assert "RecallLow" in {one["type"] for one in shard["status"]["conditions"]}
    index.wait_until(lambda: "RecallLow: shard 0" in coarse.kubectl("get", "events", "-o", "yaml"))

    patch = '{"spec": {"quantization": {"recallFloor": 0}}}'
    coarse.kubectl("patch", "vi", "coarse", "--type=merge", "-p", patch)
    index.wait_until(lambda: coarse.condition("RecallLow").get("status") == "False")


def cosine(rows: np.ndarray, one: np.ndarray) -> np.ndarray:
    """The cosine similarity of each row to a vector."""
    return (rows @ one) / (np.linalg.norm(rows, axis=1) * np.linalg.norm(one))


def is_shard(pod: dict[str, Any]) -> bool:
    """Whether a pod is a shard's."""
    return bool(pod["metadata"]["labels"]["app.kubernetes.io/component"] == "shard")
