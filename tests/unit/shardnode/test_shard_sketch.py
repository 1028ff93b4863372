"""Bits beside vectors that wait for a graph: who gets them, and that what they find is what a scan finds."""

import numpy as np
import pytest

from vectorfleet_shardnode import keys, records, shape, snapshot
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, flat, sketch
from vectorfleet_shardnode.segments import growing, part
from vectorfleet_shardnode.upkeep import sketching

METRICS = list(config.Metric)
ROWS, DIMENSIONS, K = 4_000, 96, 10


def clustered(rows: int, seed: int, metric: config.Metric = config.Metric.COSINE) -> np.ndarray:
    """Return comparable vectors around a hundred centres."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((100, DIMENSIONS))
    chosen = centres[random.integers(100, size=rows)]
    return base.comparable(metric, (chosen + random.standard_normal(chosen.shape)).astype(np.float32))


def searched(metric: config.Metric, vectors: np.ndarray) -> sketch.Sketch:
    """Return a sketch that somebody has searched, and that was extended then."""
    made = sketch.Sketch(metric)
    assert made.search(vectors, sketch.Queries(vectors[:1]), K, None) is None
    made.extend(vectors)
    return made


def overlap(found: base.Neighbours | None, right: base.Neighbours) -> float:
    """Return the share of the right rows that were found."""
    assert found is not None
    pairs = zip(found.rows.tolist(), right.rows.tolist(), strict=True)
    return sum(len(set(one) & set(other)) for one, other in pairs) / right.rows.size


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("extended_at", [(ROWS,), (2_000, ROWS), (2_000,), (1_500, 3_000)])
def test_bits_find_what_a_scan_finds(metric: config.Metric, extended_at: tuple[int, ...]) -> None:
    """However often they were extended; rows that have none yet are compared in full; scores are exact."""
    vectors, asked = clustered(ROWS, 2, metric), clustered(40, 3, metric)
    made = searched(metric, vectors[: extended_at[0]])
    for rows in extended_at[1:]:
        made.extend(vectors[:rows])
    found, right = (
        made.search(vectors, sketch.Queries(asked), K, None),
        flat.search(metric, vectors, asked, K),
    )
    assert overlap(found, right) > 0.98
    assert found is not None
    assert found.scores == pytest.approx(right.scores, rel=0.05, abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_what_comes_later_may_be_unlike_what_came_first(metric: config.Metric) -> None:
    """Where the first rows are all the same, they tell nothing of how to code the others."""
    vectors = clustered(ROWS, 2, metric)
    vectors[:1_100] = vectors[0]
    made = searched(metric, vectors[:1_100])
    for rows in (2_200, 3_300, ROWS):
        made.extend(vectors[:rows])
    asked = vectors[1_100::97].copy()
    found = made.search(vectors, sketch.Queries(asked), K, None)
    assert overlap(found, flat.search(metric, vectors, asked, K)) > 0.98


@pytest.mark.parametrize("metric", METRICS)
def test_an_odd_number_of_dimensions_is_turned_into_an_even_one(metric: config.Metric) -> None:
    """Codes are of two dimensions at a time."""
    vectors, asked = (clustered(rows, seed)[:, :95].copy() for rows, seed in ((ROWS, 2), (40, 3)))
    made = searched(metric, vectors)
    found = made.search(vectors, sketch.Queries(asked), K, None)
    assert overlap(found, flat.search(metric, vectors, asked, K)) > 0.98


@pytest.mark.parametrize("metric", METRICS)
def test_only_chosen_rows_are_found(metric: config.Metric) -> None:
    """Dead rows and those that pass no filter are left out, whether they have bits or not."""
    vectors, asked = clustered(ROWS, 2, metric), clustered(40, 3, metric)
    chosen = np.random.default_rng(4).random(ROWS) < 0.7
    made = searched(metric, vectors[:3_000])
    found = made.search(vectors, sketch.Queries(asked), K, chosen)
    right = flat.search(metric, vectors, asked, K, np.flatnonzero(chosen))
    assert overlap(found, right) > 0.98
    assert found is not None
    assert chosen[found.rows].all()


def test_an_older_view_finds_no_row_that_came_since() -> None:
    """Bits may be of more rows than a view has."""
    vectors = clustered(ROWS, 2)
    made = searched(config.Metric.COSINE, vectors)
    found = made.search(vectors[:2_500], sketch.Queries(vectors[3_000:3_010]), K, None)
    assert found is not None
    assert found.rows.max() < 2_500
    assert overlap(found, flat.search(config.Metric.COSINE, vectors[:2_500], vectors[3_000:3_010], K)) > 0.98


@pytest.mark.parametrize("k", [1_000, ROWS])
def test_many_matches_are_compared_in_full(k: int) -> None:
    """The bits of a good part of all rows would have to be looked at, and then their vectors."""
    vectors = clustered(ROWS, 2)
    assert (
        searched(config.Metric.COSINE, vectors).search(vectors, sketch.Queries(vectors[:1]), k, None) is None
    )


def test_few_chosen_rows_are_compared_in_full() -> None:
    """That costs less, and is exact."""
    vectors = clustered(ROWS, 2)
    few = np.arange(ROWS) < sketch.MIN_ROWS - 1
    assert (
        searched(config.Metric.COSINE, vectors).search(vectors, sketch.Queries(vectors[:1]), K, few) is None
    )


def test_short_vectors_get_no_bits() -> None:
    """They would tell little, and a scan of short vectors reads little."""
    vectors = clustered(ROWS, 2)[:, : sketch.MIN_DIMENSIONS - 1].copy()
    made = searched(config.Metric.DOTPRODUCT, vectors)
    assert made.search(vectors, sketch.Queries(vectors[:1]), K, None) is None
    assert sketch.bytes_of(vectors.shape[1]) == 0


def grown(rows: int) -> snapshot.Snapshot:
    """Return a state of one growing segment."""
    wanted = shape.Shape(config.Metric.COSINE, DIMENSIONS)
    view = growing.empty_view(wanted)
    ids = [str(row) for row in range(rows)]
    view.segment.append(keys.keys_of("", ids), records.Rows(ids, clustered(rows, 2), [b""] * rows), 1)
    return snapshot.Snapshot(1, wanted, (), (view.extended(),))


def question(*, exact: bool = False) -> part.Question:
    """Return one for ten rows near fifty vectors."""
    return part.Question("", clustered(50, 3), K, None, 64, exact)


def test_bits_are_made_of_what_is_searched() -> None:
    """A load that nobody watches doesn't pay for them; who asks for exact search doesn't want them."""
    state = grown(3_000)
    view = state.growing[0]
    sketching.extend(state)
    state.search(question(exact=True))
    assert not view.segment.sketch.covers_too_few(3_000)
    state.search(question())
    assert view.segment.sketch.covers_too_few(3_000)
    sketching.extend(state)
    assert not view.segment.sketch.covers_too_few(3_000)


def test_bits_follow_the_rows_that_come() -> None:
    """They are made for some at a time: rows behind them are compared in full, so they may not be many."""
    state = grown(3_000)
    made = state.growing[0].segment.sketch
    state.search(question())
    assert not made.covers_too_few(sketch.MIN_ROWS - 1)
    assert made.covers_too_few(sketch.MIN_ROWS)
    sketching.extend(state)
    assert not made.covers_too_few(3_000 + sketch.PIECE - 1)
    assert made.covers_too_few(3_000 + sketch.PIECE)


def test_a_growing_segment_answers_the_same_with_bits_as_without() -> None:
    """Ids and order; and `exact` never uses them."""
    state = grown(3_000)
    before = state.growing[0].search(question())
    sketching.extend(state)
    assert overlap(state.growing[0].search(question()), before) > 0.98
    exact = state.growing[0].search(question(exact=True))
    assert (exact.rows == before.rows).all()
