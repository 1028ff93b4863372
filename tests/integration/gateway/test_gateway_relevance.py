"""Relevance on a judged collection, through a gateway and two shards, beside exact search and bm25s."""

import time

import bm25s
import numpy as np
import pytest
import Stemmer
from oracles import cranfield

VECTORS_OFF, TEXTS_OFF, FUSION_GAIN = 0.01, 0.02, 0.02


@pytest.fixture(scope="module")
def collection():
    """1,400 abstracts, 225 queries, 1,837 judgements."""
    if not cranfield.FOLDER.is_dir():
        pytest.skip(
            f"the Cranfield collection is not in {cranfield.FOLDER}; VECTORFLEET_BENCH_DATA names its folder"
        )
    return cranfield.Collection()


@pytest.fixture(scope="module")
def ask(make_fleet, collection):
    """Ask every query; returns the ids that each finds."""
    serving = {"dimensions": collection.vectors.shape[1], "metric": "cosine"}
    tuning = {"index_min_rows": 100, "settle_seconds": 0.1}
    fleet = make_fleet(serving=serving, schema={"text": ["text"]}, tuning=tuning)
    with fleet.http() as http:
        for start in range(0, len(collection.ids), 200):
            rows = [
                {"id": row_id, "values": values.tolist(), "metadata": {"text": text}}
                for row_id, values, text in list(
                    zip(collection.ids, collection.vectors, collection.texts, strict=True)
                )[start : start + 200]
            ]
            assert http.post("/vectors/upsert", json={"vectors": rows}).status_code == 200

        wait_until_built(http, collection)

        def ask(*, vector=False, text=False):
            found = []
            for words, values in zip(collection.queries, collection.query_vectors, strict=True):
                body = {"topK": 10} | ({"vector": values.tolist()} if vector else {})
                answer = http.post("/query", json=body | ({"text": words} if text else {}))
                assert answer.status_code == 200, answer.text
                found.append([match["id"] for match in answer.json()["matches"]])
            return found

        yield ask


def wait_until_built(http, collection):
    """Return once every row is in a graph."""
    body = {"topK": 1, "vector": collection.query_vectors[0].tolist(), "explain": True}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        shards = http.post("/query", json=body).json()["explain"]["vector"]["shards"]
        segments = [segment for shard in shards for segment in shard["segments"] if segment["rows"]]
        if all(segment["segment"] != "growing" for segment in segments) and len(segments) == len(shards):
            assert sum(segment["rows"] for segment in segments) == len(collection.ids)
            return
        time.sleep(0.1)
    raise AssertionError(f"not built: {segments}")


@pytest.fixture(scope="module")
def by_vector(ask, collection):
    """NDCG@10 of vectors alone."""
    return collection.ndcg(ask(vector=True))


@pytest.fixture(scope="module")
def by_text(ask, collection):
    """NDCG@10 of texts alone."""
    return collection.ndcg(ask(text=True))


def test_vectors_are_as_relevant_as_by_exact_search(by_vector, collection):
    """Compared one by one in numpy."""
    closeness = (
        collection.query_vectors
        @ (collection.vectors / np.linalg.norm(collection.vectors, axis=1, keepdims=True)).T
    )
    exact = [[collection.ids[row] for row in rows] for rows in np.argsort(-closeness, axis=1)[:, :10]]
    assert by_vector == pytest.approx(collection.ndcg(exact), abs=VECTORS_OFF)


def test_texts_are_as_relevant_as_by_another_bm25(by_text, collection):
    """Bm25s with the same parameters, stop words and stemmer; its statistics are those of both shards."""
    cut = {"stopwords": "en", "stemmer": Stemmer.Stemmer("english"), "show_progress": False}
    other = bm25s.BM25(k1=1.2, b=0.75)
    other.index(bm25s.tokenize(collection.texts, **cut), show_progress=False)
    found, _ = other.retrieve(bm25s.tokenize(collection.queries, **cut), k=10, show_progress=False)
    theirs = collection.ndcg([[collection.ids[row] for row in rows] for rows in found])
    assert by_text == pytest.approx(theirs, abs=TEXTS_OFF)


def test_fusion_of_ranks_is_more_relevant_than_either(ask, by_vector, by_text, collection):
    """With what a query that says nothing gets."""
    fused = collection.ndcg(ask(vector=True, text=True))
    assert fused >= max(by_vector, by_text) + FUSION_GAIN, (by_vector, by_text, fused)
