"""Engines: flat search against numpy, and HNSW against flat."""

import numpy as np
import pytest

from vectorfleet_shardnode import bits, errors
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, faiss_hnsw, flat, rescoring
from vectorfleet_shardnode.segments import vectors_file

PARAMETERS = config.HnswParameters(m=16, ef_construction=64, ef_search=64)


@pytest.fixture(scope="module")
def data():
    """2,000 vectors of lengths that differ, and 50 queries."""
    numbers = np.random.default_rng(7)
    vectors = numbers.standard_normal((2_000, 24), np.float32) * numbers.uniform(0.5, 3, (2_000, 1)).astype(
        np.float32
    )
    return vectors, vectors[:50] + numbers.standard_normal((50, 24), np.float32) * np.float32(0.1)


def scores_of(metric, vectors, query):
    """Pinecone's scores in float64."""
    wide, asked = vectors.astype(np.float64), query.astype(np.float64)
    if metric is config.Metric.EUCLIDEAN:
        return ((wide - asked) ** 2).sum(axis=1)
    products = wide @ asked
    if metric is config.Metric.COSINE:
        products /= np.linalg.norm(wide, axis=1) * np.linalg.norm(asked)
    return products


@pytest.mark.parametrize("metric", config.Metric)
@pytest.mark.parametrize("chosen", [None, "some"])
def test_flat_search_gives_pinecones_scores_in_order(data, metric, chosen):
    """Cosine similarity, dot product, squared distance; only of rows that may be returned; best first."""
    vectors, queries = data
    rows = None if chosen is None else np.arange(0, 2_000, 3)
    comparable = base.comparable(metric, vectors), base.comparable(metric, queries)
    found = flat.search(metric, *comparable, 10, rows)
    for query, scores, numbers in zip(queries, found.scores, found.rows, strict=True):
        right = scores_of(metric, vectors, query)
        sign = -1 if base.larger_is_better(metric) else 1
        allowed = np.arange(2_000) if rows is None else rows
        best = allowed[np.argsort(sign * right[allowed], kind="stable")[:10]]
        np.testing.assert_array_equal(numbers, best)
        np.testing.assert_allclose(scores, right[best], rtol=2e-5, atol=1e-5)


def test_flat_distances_of_long_vectors_are_not_rounded_away():
    """Neighbours that differ in the seventh digit of their norms keep their order, in batches too."""
    vectors = np.full((40, 8), 5_000, np.float32) + np.arange(40, dtype=np.float32)[:, None] * np.float32(
        0.01
    )
    found = flat.search(config.Metric.EUCLIDEAN, vectors, np.repeat(vectors[:1], 64, axis=0), 40)
    assert (found.rows == np.arange(40)).all()


def test_flat_search_with_fewer_rows_than_asked():
    """Fewer rows, no rows, no queries: short answers, never rows that do not exist."""
    vectors = np.eye(3, dtype=np.float32)
    assert flat.search(config.Metric.DOTPRODUCT, vectors, vectors, 10).rows.shape == (3, 3)
    nobody = np.zeros(0, np.int64)
    assert flat.search(config.Metric.DOTPRODUCT, vectors, vectors, 10, nobody).rows.shape == (3, 0)
    assert flat.search(config.Metric.EUCLIDEAN, vectors, vectors[:0], 10).rows.shape == (0, 0)


@pytest.fixture(scope="module", params=list(config.Metric))
def graph(request, data, tmp_path_factory):
    """A metric, its comparable vectors, and an HNSW engine over their file."""
    folder = tmp_path_factory.mktemp("graph")
    comparable = base.comparable(request.param, data[0])
    vectors_file.write(folder / "vectors", 24, len(comparable), [comparable[:1_500], comparable[1_500:]])
    stored = vectors_file.VectorsFile(folder / "vectors")
    faiss_hnsw.build(request.param, stored.vectors, PARAMETERS, folder / "graph")
    storage = stored.faiss_index(base.faiss_metric(request.param))
    engine = faiss_hnsw.HnswEngine(folder / "graph", storage, len(stored.vectors), PARAMETERS.m)
    return request.param, stored, engine


def test_hnsw_finds_what_flat_finds(graph, data):
    """Recall@10 of at least 0.99 against flat, with the very same scores."""
    metric, stored, engine = graph
    queries = base.comparable(metric, data[1])
    exact = flat.search(metric, stored.vectors, queries, 10)
    found = engine.search(queries, 10, None, base.Effort(400))
    hits = [len(set(a) & set(b)) for a, b in zip(exact.rows, found.rows, strict=True)]
    assert sum(hits) >= 0.99 * 500
    same = exact.rows == found.rows
    np.testing.assert_allclose(found.scores[same], exact.scores[same], rtol=1e-5)


def test_hnsw_returns_only_rows_that_pass(graph, data):
    """Others are walked through, never returned, and missing ones are -1."""
    metric, _, engine = graph
    passing = np.zeros(2_000, np.bool_)
    passing[[3, 500, 1_999]] = True
    few = bits.of_mask(passing)
    found = engine.search(base.comparable(metric, data[1]), 10, few, base.Effort(2_000))
    assert set(found.rows.ravel()) <= {-1, 3, 500, 1_999}
    assert (found.rows[:, 0] >= 0).all()


def test_the_graph_shares_the_vectors_file(graph):
    """FAISS reads the mapped pages themselves, and the file stays what it was."""
    metric, stored, _ = graph
    index = stored.faiss_index(base.faiss_metric(metric))
    assert int(index.get_xb()) == stored.vectors.ctypes.data
    assert not index.codes.is_owned
    assert index.ntotal == 2_000


def test_a_vectors_file_of_another_size_is_refused(tmp_path):
    """A truncated file is found out before anything reads past its end."""
    path = tmp_path / "vectors"
    vectors_file.write(path, 4, 2, [np.zeros((2, 4), np.float32)])
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(errors.DataLossError, match="2 rows of 4 dimensions"):
        vectors_file.VectorsFile(path)
    path.write_bytes(b"x" * 5_000)
    with pytest.raises(errors.DataLossError, match="not a vectors file"):
        vectors_file.VectorsFile(path)


def test_an_extended_graph_finds_old_and_new_rows_and_no_ghosts(graph, data, tmp_path):
    """Inserting vectors and putting nodes into another order keeps recall; ghosts stay unseen."""
    metric, stored, _ = graph
    half = stored.vectors[:1_000]
    faiss_hnsw.build(metric, half, PARAMETERS, tmp_path / "half")
    order = np.random.default_rng(1).permutation(2_000)
    rows, ghosts = order[order % 10 != 0], order[order % 10 == 0]
    nodes = np.concatenate([rows, ghosts])
    extension = faiss_hnsw.Extension(tmp_path / "half", half, stored.vectors[1_000:], nodes)
    faiss_hnsw.extend(metric, extension, tmp_path / "whole")
    vectors_file.write(tmp_path / "vectors", 24, 2_000, [stored.vectors[nodes]])
    compared = vectors_file.VectorsFile(tmp_path / "vectors")
    storage = compared.faiss_index(base.faiss_metric(metric))
    engine = faiss_hnsw.HnswEngine(tmp_path / "whole", storage, len(rows), PARAMETERS.m)

    queries = base.comparable(metric, data[1])
    exact = flat.search(metric, compared.vectors[: len(rows)], queries, 10)
    passing = np.arange(len(rows)) % 2 == 0
    found = engine.search(queries, 10, None, base.Effort(400))
    some = engine.search(queries, 10, bits.of_mask(passing), base.Effort(400))
    hits = [len(set(a) & set(b)) for a, b in zip(exact.rows, found.rows, strict=True)]
    assert sum(hits) >= 0.98 * 500
    assert found.rows.max() < len(rows)
    assert passing[some.rows[some.rows >= 0]].all()


@pytest.mark.parametrize("metric", config.Metric)
def test_what_is_given_may_lie_apart_in_memory(data, metric):
    """Every second of some queries, and of candidates: the copy that FAISS gets outlives the search."""
    stored = base.comparable(metric, data[0])
    asked, every = stored[::97], np.arange(2 * len(stored))
    candidates = np.tile(every, (len(asked), 1))[:, ::2] // 2
    right = flat.search(metric, stored, np.ascontiguousarray(asked), 10)
    assert (flat.search(metric, stored, asked, 10).rows == right.rows).all()
    assert (rescoring.best(metric, stored, asked, candidates, 10).rows == right.rows).all()
    scores = rescoring.scores(metric, stored, asked, candidates)
    best = np.sort(scores, axis=1)[:, :10] if metric is config.Metric.EUCLIDEAN else -np.sort(-scores)[:, :10]
    assert best == pytest.approx(right.scores, rel=1e-4, abs=1e-4)
