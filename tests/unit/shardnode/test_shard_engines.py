"""Engines: flat search against numpy, HNSW against flat, and the choice between them."""

import numpy as np
import pytest

from vectorfleet_shardnode import bits, errors
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, choice, clusters, faiss_hnsw, flat
from vectorfleet_shardnode.segments import part, sealed_search, selection, vectors_file

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


@pytest.mark.parametrize(
    ("passing", "rows", "k", "ef", "expected"),
    [
        (100_000, 100_000, 10, 100, 100),
        (50_000, 100_000, 10, 100, 100),
        (20_000, 100_000, 10, 100, 200),
        (20_000, 100_000, 1, 32, 64),
        (90_000, 100_000, 200, 100, 222),
        (5_000, 100_000, 10, 100, 0),
        (100_000, 100_000, 10_000, 100, 0),
        (1_000_000, 1_000_000, 10_000, 100, 10_000),
        (0, 100_000, 10, 100, 0),
        (2_000, 2_000, 10, 100, 0),
    ],
)
def test_a_narrow_selection_widens_the_walk_until_comparing_all_is_cheaper(passing, rows, k, ef, expected):
    """Ef grows with 1 / share; few passing rows, or many results, are compared exactly."""
    assert choice.graph_ef(choice.Question(passing, rows, k, ef, m=16)) == expected


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


@pytest.mark.parametrize(
    ("passing", "near", "expected"),
    [
        (50_000, 0.5, choice.ENGINE),
        (50_000, 0.9, choice.ENGINE),
        (20_000, 0.2, choice.ENGINE),
        (50_000, 0.1, choice.Plan(asks=True, compared=6_640)),
        (20_000, 0.0, choice.Plan(asks=True, compared=4_240)),
        (4_000, 0.0, choice.EXACT),
        (4_000, 0.9, choice.EXACT),
    ],
)
def test_where_few_pass_around_a_query_the_clusters_that_hold_passing_rows_are_compared_too(
    passing, near, expected
):
    """A walk alone is trusted only where as many pass around the query as elsewhere."""
    assert choice.plan(choice.Question(passing, 100_000, 10, 100, m=16), near) == expected


@pytest.fixture(scope="module")
def clustered(tmp_path_factory):
    """Clusters of 2,000 vectors, by metric."""
    found, folder = {}, tmp_path_factory.mktemp("clusters")
    vectors = np.random.default_rng(5).standard_normal((2_000, 24)).astype(np.float32)
    for metric in config.Metric:
        comparable = base.comparable(metric, vectors)
        clusters.build(metric, comparable, folder / metric)
        found[metric] = clusters.Clusters(folder / metric, metric), comparable
    return found


def rows_of(opened, cluster):
    """Return the rows of one cluster."""
    return opened.rows[slice(*opened.offsets[cluster : cluster + 2])]


@pytest.mark.parametrize("metric", list(config.Metric))
def test_every_row_is_in_one_cluster_and_the_nearest_cluster_comes_first(clustered, metric):
    """Nearness is that of the metric, to the centroid."""
    opened, vectors = clustered[metric]
    assert sorted(opened.rows.tolist()) == list(range(2_000))
    assert opened.sizes.sum() == 2_000
    first = [opened.nearest(query)[:8] for query in vectors[:50]]
    rows = [
        set(np.concatenate([opened.rows[slice(*opened.offsets[c : c + 2])] for c in few])) for few in first
    ]
    nearest = flat.search(metric, vectors, vectors[:50], 10).rows
    held = np.mean([len(inside & set(ten.tolist())) / 10 for inside, ten in zip(rows, nearest, strict=True)])
    assert held > 0.4  # 8 of 45 clusters hold a fifth of the rows


def test_a_selection_of_rows_is_grouped_by_cluster(clustered):
    """Each selected row once; the share around a query is that of its nearest clusters."""
    opened, vectors = clustered[config.Metric.EUCLIDEAN]
    mask = np.random.default_rng(6).random(2_000) < 0.3
    grouped = selection.Selection(bits.of_mask(mask), 2_000, opened).grouped
    order = opened.nearest(vectors[7])
    assert sorted(grouped.first(order, 2_000).tolist()) == np.flatnonzero(mask).tolist()
    for count in (1, 100, 5_000):
        some = grouped.first(order, count)
        assert len(set(some.tolist())) == len(some) >= min(count, mask.sum())
        assert mask[some].all()
    inside = np.concatenate([rows_of(opened, one) for one in order[:4]])
    assert grouped.share(order, 1) == pytest.approx(mask[inside].mean())


def test_the_least_share_of_any_cluster_is_known_from_the_second_look_on(clustered):
    """A selection that is asked for once does not pay for a look at every row."""
    opened, _ = clustered[config.Metric.EUCLIDEAN]
    mask = np.random.default_rng(6).random(2_000) < 0.7
    large = [one for one, size in enumerate(opened.sizes) if size >= 16]
    mask[rows_of(opened, large[3])] = np.arange(opened.sizes[large[3]]) < 4
    grouped = selection.Selection(bits.of_mask(mask), 2_000, opened).grouped
    right = min(mask[rows_of(opened, one)].mean() for one in large)
    assert (grouped.least_known, grouped.least_known) == (0.0, pytest.approx(right))


@pytest.mark.parametrize(
    ("passing", "k", "near", "trusted"),
    [
        (95_000, 10, 0.5, True),  # of a hundred candidates fifty pass, and forty are wanted
        (95_000, 10, 0.3, False),
        (95_000, 50, 0.5, False),  # all of a hundred candidates are wanted
        (10_000, 10, 0.1, True),  # few pass everywhere, so efSearch is wider
        (10_000, 10, 0.05, False),
    ],
)
def test_a_walk_is_trusted_where_it_meets_enough_passing_rows(passing, k, near, trusted):
    """Whatever share of the others pass."""
    assert choice.trusts(choice.Question(passing, 100_000, k, 100, m=16), near) is trusted


@pytest.mark.parametrize("damage", ["x", "version", "short"])
def test_a_damaged_file_of_clusters_is_named(tmp_path, damage):
    """Magic, version and size are checked."""
    path = tmp_path / "clusters"
    clusters.build(config.Metric.COSINE, np.eye(64, dtype=np.float32), path)
    content = path.read_bytes()
    broken = {"x": b"x" + content[1:], "version": content[:8] + b"\x07" + content[9:], "short": content[:-4]}
    path.write_bytes(broken[damage])
    with pytest.raises(errors.DataLossError, match=str(path)):
        clusters.Clusters(path, config.Metric.COSINE)


@pytest.mark.parametrize("metric", list(config.Metric))
def test_rows_far_from_the_query_are_found_where_only_they_pass(clustered, tmp_path, metric, monkeypatch):
    """The walk alone would end among rows that don't pass."""
    monkeypatch.setattr(choice, "_CLUSTERS_COST", 0)
    monkeypatch.setattr(choice, "_COMPARED_LEAST", 130)
    opened, vectors = clustered[metric]
    queries = vectors[:20]
    vectors_file.write(tmp_path / "vectors", 24, 2_000, [vectors])
    stored = vectors_file.VectorsFile(tmp_path / "vectors")
    faiss_hnsw.build(metric, stored.vectors, PARAMETERS, tmp_path / "graph")
    storage = stored.faiss_index(base.faiss_metric(metric))
    engine = faiss_hnsw.HnswEngine(tmp_path / "graph", storage, 2_000, PARAMETERS.m)
    far = flat.search(metric, vectors, queries[:1], 2_000).rows[0, 1_000:]
    mask = np.zeros(2_000, np.bool_)
    mask[far] = True
    target = sealed_search.Target(metric, stored.vectors, engine, 2_000, 2)
    question = part.Question("", queries, 10, None, 10, False)
    selected = selection.Selection(bits.of_mask(mask), 2_000, opened)
    assert choice.plan(choice.Question(1_000, 2_000, 10, 10, 2), 0.0).compared == 250
    found = sealed_search.search(target, question, selected)
    right = flat.search(metric, vectors, queries, 10, np.sort(far))
    hits = [len(set(a) & set(b)) for a, b in zip(found.rows.tolist(), right.rows.tolist(), strict=True)]
    assert mask[found.rows].all()
    assert all(len(set(rows)) == 10 for rows in found.rows.tolist())
    assert sum(hits) >= 0.8 * 200
    scores = found.scores if metric is config.Metric.EUCLIDEAN else -found.scores
    assert (np.diff(scores, axis=1) >= 0).all()
