"""Signs of vectors: rows that pass a filter are compared by them, and what is returned is scored in full."""

from pathlib import Path

import numpy as np
import pytest

from vectorfleet_shardnode import bits, errors
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, choice, clusters, faiss_hnsw, flat, signs, trusting, turning
from vectorfleet_shardnode.segments import part, sealed_search, selection, vectors_file

METRICS = list(config.Metric)
ROWS, DIMENSIONS, K = 6_000, 300, 10


def drawn(kind):
    """Return vectors of a kind; the last 30 are asked."""
    random = np.random.default_rng(4)
    normal = random.standard_normal((ROWS + 30, DIMENSIONS))
    made = {
        "even": normal,
        "skewed": normal / np.arange(1, DIMENSIONS + 1) ** 0.5,
        "heaps": 0.1 * normal
        + 10 * random.standard_normal((8, DIMENSIONS))[random.integers(0, 8, ROWS + 30)],
        "far from the origin": normal + 300,
        "of all lengths": normal * random.uniform(0.2, 5, (ROWS + 30, 1)),
    }
    return made[kind].astype(np.float32)


class Opened:
    """Signs of some rows, and queries beside them."""

    def __init__(self, folder: Path, metric: config.Metric, kind: str) -> None:
        comparable = base.comparable(metric, drawn(kind))
        self.metric, self.vectors, self.queries = metric, comparable[:ROWS], comparable[ROWS:]
        clusters.build(metric, self.vectors, folder / "clusters")
        self.grouped = clusters.Clusters(folder / "clusters", metric)
        self.path = folder / "signs"
        signs.build(metric, self.vectors, self.grouped, self.path)

    def search(self, mask):
        """Return what is found among the rows of a mask by signs, and exactly."""
        grouped = selection.Selection(bits.of_mask(mask), ROWS, self.grouped).grouped
        opened = signs.Signs(self.path, self.metric, self.grouped)
        found = opened.search(self.vectors, self.queries, K, grouped.places)
        return found, flat.search(self.metric, self.vectors, self.queries, K, np.flatnonzero(mask))


@pytest.fixture(params=["even", "skewed", "heaps", "far from the origin", "of all lengths"])
def kind(request):
    """A kind of vectors."""
    return request.param


@pytest.mark.parametrize("metric", METRICS)
def test_the_best_rows_that_pass_are_found(tmp_path, metric, kind):
    """Nearly all of them, of each kind of vectors; none that does not pass, and scores are exact."""
    mask = np.random.default_rng(7).random(ROWS) < 0.5
    found, exact = Opened(tmp_path, metric, kind).search(mask)
    assert mask[found.rows].all()
    pairs = list(zip(found.rows, exact.rows, strict=True))
    assert np.mean([len(set(one) & set(other)) / K for one, other in pairs]) >= 0.93
    scores = [dict(zip(*one, strict=True)) for one in zip(exact.rows, exact.scores, strict=True)]
    for number, (rows, given) in enumerate(zip(found.rows, found.scores, strict=True)):
        assert all(scores[number].get(row, score) == score for row, score in zip(rows, given, strict=True))


def test_one_middle_would_not_tell_rows_of_heaps_apart(tmp_path, monkeypatch):
    """Beside the middle of all they have the same signs; this is why there are several."""
    monkeypatch.setattr(signs, "_MOST_MIDDLES", 1)
    found, exact = Opened(tmp_path, config.Metric.EUCLIDEAN, "heaps").search(np.ones(ROWS, np.bool_))
    pairs = zip(found.rows, exact.rows, strict=True)
    assert np.mean([len(set(one) & set(other)) / K for one, other in pairs]) < 0.9


def test_more_rows_are_scored_in_full_where_estimates_are_off(tmp_path, monkeypatch):
    """The bound follows from what the first ones show; without it fewer of the best are found."""
    opened = Opened(tmp_path, config.Metric.COSINE, "even")
    everything = np.ones(ROWS, np.bool_)
    recalls = []
    for many in (trusting._BOUND_ERRORS, -100.0):
        monkeypatch.setattr(trusting, "_BOUND_ERRORS", many)
        found, exact = opened.search(everything)
        pairs = zip(found.rows, exact.rows, strict=True)
        recalls.append(np.mean([len(set(one) & set(other)) / K for one, other in pairs]))
    assert recalls[0] > recalls[1]


@pytest.mark.parametrize(
    ("rows", "k", "dimensions", "expected"),
    [(1_000, 10, 256, False), (2_200, 10, 256, True), (800, 10, 768, True), (6_500, 1_000, 768, False)],
)
def test_signs_are_looked_at_where_that_leaves_enough_unread(rows, k, dimensions, expected):
    """The fewer dimensions, and the more is scored in full anyway, the more rows it takes."""
    assert signs.pays(rows, k, dimensions) is expected


def test_a_vector_that_is_turned_keeps_its_length_and_angles():
    """Up to 512 dimensions, those that fill it up to a multiple of 64 included."""
    vectors = np.random.default_rng(5).standard_normal((20, DIMENSIONS)).astype(np.float32)
    turned = turning.Turn.drawn(DIMENSIONS, turning.padded(DIMENSIONS)).apply(vectors)
    assert turned.shape == (20, 320)
    assert np.allclose(turned @ turned.T, vectors @ vectors.T, atol=1e-3)


@pytest.mark.parametrize("damage", ["magic", "version", "short", "others"])
def test_a_damaged_file_of_signs_is_named(tmp_path, damage):
    """Magic, version and size are checked, and that it goes with the clusters."""
    opened = Opened(tmp_path, config.Metric.COSINE, "even")
    content, grouped = opened.path.read_bytes(), opened.grouped
    broken = {
        "magic": b"x" + content[1:],
        "version": content[:8] + b"\x07" + content[9:],
        "short": content[:-4],
        "others": content,
    }
    opened.path.write_bytes(broken[damage])
    if damage == "others":
        clusters.build(config.Metric.COSINE, opened.vectors[:3_000], tmp_path / "others")
        grouped = clusters.Clusters(tmp_path / "others", config.Metric.COSINE)
    with pytest.raises(errors.DataLossError, match=str(opened.path)):
        signs.Signs(opened.path, config.Metric.COSINE, grouped)


@pytest.fixture
def segment(tmp_path, monkeypatch):
    """What is searched of a segment with a graph, clusters and signs; and how often signs were looked at."""
    opened = Opened(tmp_path, config.Metric.EUCLIDEAN, "even")
    vectors_file.write(tmp_path / "vectors", DIMENSIONS, ROWS, [opened.vectors])
    stored, parameters = vectors_file.VectorsFile(tmp_path / "vectors"), config.HnswParameters(m=16)
    faiss_hnsw.build(config.Metric.EUCLIDEAN, stored.vectors, parameters, tmp_path / "graph")
    storage = stored.faiss_index(base.faiss_metric(config.Metric.EUCLIDEAN))
    engine = faiss_hnsw.HnswEngine(tmp_path / "graph", storage, ROWS, parameters.m)
    held = signs.Signs(opened.path, config.Metric.EUCLIDEAN, opened.grouped)
    looks, search = [], held.search
    monkeypatch.setattr(held, "search", lambda *given: looks.append(given) or search(*given))
    target = sealed_search.Target(config.Metric.EUCLIDEAN, stored.vectors, engine, ROWS, 16, held)
    return opened, target, looks


@pytest.mark.parametrize(("exact", "share", "looked"), [(False, 0.5, 1), (True, 0.5, 0), (False, 0.1, 0)])
def test_a_filtered_search_compares_by_signs_first(segment, exact, share, looked):
    """Not where everything is to be compared in full, and not where few rows pass."""
    opened, target, looks = segment
    mask = np.random.default_rng(8).random(ROWS) < share
    selected = selection.Selection(bits.of_mask(mask), ROWS, opened.grouped)
    question = part.Question("", opened.queries[:1], K, None, 64, exact)
    found = sealed_search.search(target, question, selected)
    wanted = flat.search(config.Metric.EUCLIDEAN, opened.vectors, opened.queries[:1], K, np.flatnonzero(mask))
    assert len(set(found.rows[0]) & set(wanted.rows[0])) >= K - 1
    assert len(looks) == looked


def test_rows_of_near_clusters_are_compared_by_signs_beside_a_walk(segment, monkeypatch):
    """As many as the plan says, of those that pass."""
    opened, target, looks = segment
    way = choice.Plan(asks=True, compared=2_500, ef=32)
    monkeypatch.setattr(choice, "compares_few", lambda _: False)
    monkeypatch.setattr(choice, "plan", lambda *_: way)
    mask = np.random.default_rng(8).random(ROWS) < 0.6
    selected = selection.Selection(bits.of_mask(mask), ROWS, opened.grouped)
    found = sealed_search.search(target, part.Question("", opened.queries[:2], K, None, 64, False), selected)
    assert mask[found.rows].all()
    assert [2_500 <= len(places) < 2_700 for *_, places in looks] == [True, True]


def test_a_plan_compares_more_where_rows_are_looked_at_by_their_signs():
    """They cost a fraction, so more of them stand for a wider walk."""
    known = [choice.Question(8_000, 60_000, 10, 100, 16, screened) for screened in (False, True)]
    assert [choice.compares_few(one) for one in known] == [False, True]
    assert [choice.plan(one, 1.0) == choice.EXACT for one in known] == [False, True]
