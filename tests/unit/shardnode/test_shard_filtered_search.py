"""Filtered search: the way that is chosen to the best passing rows, and the clusters that help to choose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_shardnode import bits, errors
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, choice, clusters, faiss_hnsw, flat
from vectorfleet_shardnode.segments import part, sealed_search, selection, vectors_file

PARAMETERS = config.HnswParameters(m=16, ef_construction=64, ef_search=64)


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


@pytest.mark.parametrize(
    ("passing", "density", "expected"),
    [
        (50_000, 1.0, choice.ENGINE),
        (50_000, 1.8, choice.ENGINE),
        (20_000, 1.0, choice.ENGINE),
        (90_000, 0.44, choice.Plan(asks=True, compared=10_704, ef=50)),
        (50_000, 0.2, choice.Plan(asks=True, compared=9_040, ef=50)),
        (20_000, 0.1, choice.Plan(asks=True, compared=5_520, ef=50)),
        (20_000, 0.0, choice.Plan(asks=False, compared=5_840)),
        (4_000, 0.0, choice.EXACT),
        (4_000, 1.8, choice.EXACT),
    ],
)
def test_where_few_pass_around_a_query_the_clusters_that_hold_passing_rows_are_compared_too(
    passing, density, expected
):
    """A walk alone is trusted only where passing rows are as common around the query as elsewhere.

    In a hole it is left out.
    """
    assert choice.plan(choice.Question(passing, 100_000, 10, 100, m=16), density) == expected


QUESTIONS = st.builds(
    lambda rows, share, k, ef, m: choice.Question(max(1, int(rows * share)), rows, k, ef, m),
    rows=st.integers(10_000, 10_000_000),
    share=st.floats(0.001, 1),
    k=st.integers(1, 1_000),
    ef=st.integers(1, 1_000),
    m=st.integers(4, 64),
)
DENSITIES = st.floats(0, 4)


@given(QUESTIONS, DENSITIES)
def test_however_many_passing_rows_a_walk_meets_it_is_not_trusted_where_they_are_thin(question, density):
    """A hole around the query ends the walk at its rim; that it met many rows there says nothing."""
    alone = choice.plan(question, density) == choice.ENGINE
    assert not alone or density >= 0.9


@given(QUESTIONS, DENSITIES, DENSITIES)
def test_the_thinner_passing_rows_lie_the_more_of_them_are_compared(question, one, other):
    """Comparing all of them is the most; that is done, too, where it costs less than a walk."""
    thin, dense = (choice.plan(question, density) for density in sorted((one, other)))
    assert choice.EXACT in (thin, dense) or thin.compared >= dense.compared


@given(QUESTIONS, DENSITIES)
def test_a_walk_is_as_wide_as_what_is_wanted(question, density):
    """Beside clusters too it can return k rows."""
    way = choice.plan(question, density)
    assert way.ef >= question.k or not (way.asks and way.compared)


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
    """Each selected row once."""
    opened, vectors = clustered[config.Metric.EUCLIDEAN]
    mask = np.random.default_rng(6).random(2_000) < 0.3
    grouped = selection.Selection(bits.of_mask(mask), 2_000, opened).grouped
    order = opened.nearest(vectors[7])
    assert sorted(opened.rows[grouped.first(order, 2_000)].tolist()) == np.flatnonzero(mask).tolist()
    assert sorted(grouped.first(order, 2_000).tolist()) == grouped.places.tolist()
    for count in (1, 100, 5_000):
        some = opened.rows[grouped.first(order, count)]
        assert len(set(some.tolist())) == len(some) >= min(count, mask.sum())
        assert mask[some].all()


def grouped_with(opened, mask):
    """Return a selection by cluster, and its share of all rows."""
    grouped = selection.Selection(bits.of_mask(mask), 2_000, opened).grouped
    return grouped, mask.mean()


def test_density_is_the_share_around_a_query_relative_to_that_of_all_rows(clustered):
    """Of the clusters that are nearest, four at least; more where more rows are to be looked at."""
    opened, vectors = clustered[config.Metric.EUCLIDEAN]
    order = opened.nearest(vectors[7])
    mask = np.random.default_rng(6).random(2_000) < 0.3
    mask[np.concatenate([rows_of(opened, one) for one in order[1:8]])] = False
    grouped, share = grouped_with(opened, mask)
    for around, looked_at in ((1, 4), (opened.sizes[order[:6]].sum(), 6)):
        inside = np.concatenate([rows_of(opened, one) for one in order[:looked_at]])
        assert grouped.density(order, around) == pytest.approx(mask[inside].mean() / share)


def test_a_hole_of_one_cluster_is_seen_and_chance_is_not_taken_for_one(clustered):
    """However many rows pass in the clusters about it; what chance leaves out of a cluster is no hole."""
    opened, vectors = clustered[config.Metric.EUCLIDEAN]
    orders = [opened.nearest(query) for query in vectors]
    order = max(orders, key=lambda order: opened.sizes[order[0]])
    mask = np.random.default_rng(6).random(2_000) < 0.7
    grouped, _ = grouped_with(opened, mask)
    assert all(choice.trusts(grouped.density(one, 1_000)) for one in orders)
    mask[rows_of(opened, order[0])] = False
    grouped, share = grouped_with(opened, mask)
    around = np.concatenate([rows_of(opened, one) for one in order])[:1_000]
    assert mask[around].mean() / share > 0.9
    assert not choice.trusts(grouped.density(order, 1_000))


def test_the_least_density_of_any_cluster_is_known_from_the_second_look_on(clustered):
    """A selection that is asked for once does not pay for a look at every row; no query has a lesser one."""
    opened, vectors = clustered[config.Metric.EUCLIDEAN]
    mask = np.random.default_rng(6).random(2_000) < 0.7
    grouped, _ = grouped_with(opened, mask)
    assert grouped.least_known == 0.0
    assert choice.trusts(grouped.least_known)
    emptied = opened.nearest(vectors[7])[0]
    mask[rows_of(opened, emptied)] = False
    grouped, _ = grouped_with(opened, mask)
    assert grouped.least_known == 0.0
    assert not choice.trusts(grouped.least_known)


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
    monkeypatch.setattr(choice, "_COMPARED_LEAST", 50)
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
