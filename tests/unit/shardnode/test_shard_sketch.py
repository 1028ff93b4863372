"""Codes of rows that wait for a graph: who gets them, and that what they find is what a scan finds."""

import dataclasses
import itertools

import numpy as np
import pytest
from fixtures import builders, shards

from vectorfleet_shardnode import keys, operations, records, screening, shape, sketching, snapshot, storage
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.arrays import Mask
from vectorfleet_shardnode.engines import base, flat, trusting
from vectorfleet_shardnode.segments import growing, part

METRICS = list(config.Metric)
DIMENSIONS, K = 96, 10


def clustered(rows: int, seed: int, metric: config.Metric = config.Metric.COSINE) -> np.ndarray:
    """Return comparable vectors around a hundred centres."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((100, DIMENSIONS))
    chosen = centres[random.integers(100, size=rows)]
    return base.comparable(metric, (chosen + random.standard_normal(chosen.shape)).astype(np.float32))


def grown(vectors: np.ndarray, metric: config.Metric, *, prefix: str = "") -> growing.GrowingView:
    """Return a growing segment of these rows, in writes of 500."""
    view = growing.empty_view(shape.Shape(metric, vectors.shape[1]))
    for start in range(0, len(vectors), 500):
        view = more(view, vectors[start : start + 500], prefix)
    return view


def more(view: growing.GrowingView, vectors: np.ndarray, prefix: str = "") -> growing.GrowingView:
    """Return the view with so many rows more."""
    ids = [f"{prefix}{view.segment.rows + row}" for row in range(len(vectors))]
    view.segment.append(keys.keys_of("", ids), records.Rows(ids, vectors, [b""] * len(ids)), 1)
    return view.extended()


def state_of(*views: growing.GrowingView) -> snapshot.Snapshot:
    """Return a state of these parts, which nobody has searched yet."""
    metric, dimensions = views[0].metric, views[0].comparable.shape[1]
    return snapshot.Snapshot(1, shape.Shape(metric, dimensions), (), views)


def question(queries: np.ndarray, *, k: int = K, exact: bool = False) -> part.Question:
    """Return one for the nearest rows of each query."""
    return part.Question("", queries, k, None, 64, exact)


def numbered(state: snapshot.Snapshot) -> list[sketching.Numbered]:
    """Return the parts as they are searched."""
    return list(enumerate(state.parts))


def coded(state: snapshot.Snapshot) -> snapshot.Snapshot:
    """Return the state once somebody has searched it, and its rows have codes."""
    assert state.sketch.search(numbered(state), question(state.parts[0].comparable[:1])) is None
    state.keep_sketch()
    return state


def rows_by(state: snapshot.Snapshot, asked: part.Question) -> list[set[tuple[int, int]]]:
    """Return the rows that a state finds for each query, by part and number."""
    return [
        set(zip(place.parts.tolist(), place.rows.tolist(), strict=True)) for _, place in state.search(asked)
    ]


def share_found(state: snapshot.Snapshot, queries: np.ndarray, k: int = K) -> float:
    """Return the share of the nearest rows that are found by codes."""
    assert state.sketch.search(numbered(state), question(queries, k=k)) is not None
    pairs = zip(
        rows_by(state, question(queries, k=k)),
        rows_by(state, question(queries, k=k, exact=True)),
        strict=True,
    )
    return sum(len(found & right) for found, right in pairs) / (k * len(queries))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sizes", [(4_000,), (2_500, 1_500), (3_000, 600, 100, 300)])
def test_codes_find_what_a_scan_finds(metric: config.Metric, sizes: tuple[int, ...]) -> None:
    """However many parts the rows are in; and scores are exact."""
    vectors, asked = clustered(4_000, 2, metric), clustered(40, 3, metric)
    cuts = np.split(vectors, np.cumsum(sizes)[:-1])
    state = coded(state_of(*(grown(cut, metric, prefix=f"{n}-") for n, cut in enumerate(cuts))))
    assert share_found(state, asked) > 0.98
    every = np.concatenate([view.comparable for view in state.parts])
    right = flat.search(metric, every, asked, K).scores
    given = np.stack([scores for scores, _ in state.search(question(asked))])
    assert given == pytest.approx(base.presented(metric, right), rel=0.05, abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_without_codes_are_compared_in_full(metric: config.Metric) -> None:
    """Those of a part that grew since, and those of a part that is new."""
    vectors, asked = clustered(4_000, 2, metric), clustered(40, 3, metric)
    first = grown(vectors[:3_000], metric)
    state = coded(state_of(first))
    second = grown(vectors[3_500:], metric, prefix="b")
    grew = dataclasses.replace(state, growing=(more(first, vectors[3_000:3_500]), second))
    assert share_found(grew, asked) > 0.98


@pytest.mark.parametrize("metric", METRICS)
def test_what_comes_later_may_be_unlike_what_came_first(metric: config.Metric) -> None:
    """Where the first rows are all the same, they tell nothing of how to code the others."""
    vectors = clustered(4_000, 2, metric)
    vectors[:1_500] = -vectors[0]  # no neighbour of any other
    state = coded(state_of(grown(vectors[:1_500], metric)))
    for rows in (2_200, 3_300, 4_000):
        view = state.growing[0]
        state = dataclasses.replace(state, growing=(more(view, vectors[len(view.live) : rows]),))
        state.keep_sketch()
    assert share_found(state, vectors[1_500::97]) > 0.98


@pytest.mark.parametrize("metric", METRICS)
def test_any_number_of_dimensions_can_be_coded(metric: config.Metric) -> None:
    """Vectors are turned in blocks of 64 dimensions: the last one may be short."""
    vectors, asked = (clustered(rows, seed)[:, :95].copy() for rows, seed in ((4_000, 2), (40, 3)))
    assert share_found(coded(state_of(grown(vectors, metric))), asked) > 0.98


def without(view: growing.GrowingView, kept: Mask) -> growing.GrowingView:
    """Return the view without the rows that are not kept."""
    return view.without(np.flatnonzero(~kept[: len(view.live)]))


@pytest.mark.parametrize("metric", METRICS)
def test_only_rows_that_live_are_found(metric: config.Metric) -> None:
    """Dead rows are left out, whether they have codes or not."""
    vectors, asked = clustered(4_000, 2, metric), clustered(40, 3, metric)
    kept = np.random.default_rng(4).random(4_000) < 0.7
    view = grown(vectors[:3_500], metric)
    state = coded(state_of(view))
    state = dataclasses.replace(state, growing=(without(more(view, vectors[3_500:]), kept),))
    assert share_found(state, asked) > 0.98
    found = rows_by(state, question(asked))
    assert all(kept[row] for _, row in itertools.chain.from_iterable(found))


def test_an_older_view_finds_no_row_that_came_since() -> None:
    """Codes may be of more rows than a view has, and of parts that a state does not have."""
    vectors = clustered(4_000, 2)
    older = grown(vectors[:2_500], config.Metric.COSINE)
    newer = more(older, vectors[2_500:3_500])
    state = coded(state_of(newer, grown(vectors[3_500:], config.Metric.COSINE, prefix="b")))
    before = dataclasses.replace(state, growing=(older,))
    assert share_found(before, vectors[3_000:3_010]) > 0.98
    found = rows_by(before, question(vectors[3_000:3_010]))
    assert max(row for _, row in itertools.chain.from_iterable(found)) < 2_500


def test_parts_that_wait_no_more_are_forgotten() -> None:
    """Their codes would be scanned for nothing, and keep their files from being let go."""
    vectors = clustered(4_000, 2)
    views = [
        grown(vectors[:2_000], config.Metric.COSINE),
        grown(vectors[2_000:], config.Metric.COSINE, prefix="b"),
    ]
    state = coded(state_of(*views))
    left = dataclasses.replace(state, growing=(views[1],))
    left.keep_sketch()
    assert [state.sketch.covered(view.segment) for view in views] == [0, 2_000]
    dataclasses.replace(state, growing=()).keep_sketch()
    assert not state.sketch.covered(views[1].segment)


def heaps(rows: int, seed: int) -> np.ndarray:
    """Return vectors of eight heaps, each a hundredth as wide as they are apart: codes tell little of it."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((8, DIMENSIONS))
    spread = 0.01 * random.standard_normal((rows, DIMENSIONS))
    return (centres[random.integers(8, size=rows)] + spread).astype(np.float32)


def alike(rows: int, seed: int) -> np.ndarray:
    """Return vectors of which none is much nearer to another than most are."""
    return np.random.default_rng(seed).standard_normal((rows, DIMENSIONS)).astype(np.float32)


@pytest.mark.parametrize("drawn", [heaps, alike])
@pytest.mark.parametrize("wider", [1, 4, 16, 64])
def test_candidates_that_codes_leave_in_doubt_are_not_trusted(drawn, wider, monkeypatch) -> None:
    """More are scored then, or all rows; without the doubt a good part of the neighbours is missed."""
    monkeypatch.setattr(screening, "_WIDER", wider)
    state = coded(state_of(grown(drawn(4_000, 2), config.Metric.EUCLIDEAN)))
    asked = drawn(40, 3)
    found, right = (rows_by(state, question(asked, exact=exact)) for exact in (False, True))
    assert sum(len(one & other) for one, other in zip(found, right, strict=True)) > 0.98 * 400
    monkeypatch.setattr(trusting, "_BOUND_ERRORS", -100.0)
    assert share_found(state, asked) < 0.9


@pytest.mark.parametrize("k", [1_000, 4_000])
def test_many_matches_are_compared_in_full(k: int) -> None:
    """The codes of a good part of all rows would have to be looked at, and then their vectors."""
    vectors = clustered(4_000, 2)
    state = coded(state_of(grown(vectors, config.Metric.COSINE)))
    assert state.sketch.search(numbered(state), question(vectors[:1], k=k)) is None
    assert len(state.search(question(vectors[:1], k=k))[0][0]) == k


def test_few_rows_are_compared_in_full() -> None:
    """That costs less, and is exact."""
    vectors = clustered(4_000, 2)
    view = grown(vectors, config.Metric.COSINE)
    few = np.arange(4_000) < sketching.MIN_ROWS - 1
    state = dataclasses.replace(coded(state_of(view)), growing=(without(view, few),))
    assert state.sketch.search(numbered(state), question(vectors[:1])) is None


def test_short_vectors_get_no_codes() -> None:
    """They would tell little, and a scan of short vectors reads little."""
    vectors = clustered(4_000, 2)[:, : sketching.MIN_DIMENSIONS - 1].copy()
    state = coded(state_of(grown(vectors, config.Metric.DOTPRODUCT)))
    assert not state.sketch.covered(state.growing[0].segment)
    assert sketching.bytes_of(vectors.shape[1]) == 0


def test_codes_are_made_of_what_is_searched() -> None:
    """A load that nobody watches doesn't pay for them; who asks for exact search doesn't want them."""
    state = state_of(grown(clustered(3_000, 2), config.Metric.COSINE))
    state.keep_sketch()
    state.search(question(clustered(5, 3), exact=True))
    state.keep_sketch()
    assert not state.sketch.covered(state.growing[0].segment)
    state.search(question(clustered(5, 3)))
    state.keep_sketch()
    assert state.sketch.covered(state.growing[0].segment) == 3_000


def test_codes_follow_the_rows_that_come() -> None:
    """Some at a time while rows come; and of the last ones, however few, once none do."""
    view = grown(clustered(3_000, 2), config.Metric.COSINE)
    state = coded(state_of(view))
    for rows, covered in ((sketching.PIECE - 1, 3_000), (1, 3_256), (7, 3_256), (0, 3_263)):
        view = more(view, clustered(rows, rows)) if rows else view
        state = dataclasses.replace(state, growing=(view,))
        state.keep_sketch()
        assert state.sketch.covered(view.segment) == covered


def test_a_sealed_segment_has_the_codes_that_its_rows_had(tmp_path) -> None:
    """From its first search on: nothing is computed, and nothing compared in full, when rows are sealed."""
    vectors = clustered(3_000, 2)
    index = config.IndexConfig(index="shop", serving=config.Generation(dimensions=DIMENSIONS))
    tuning = shards.TUNING.model_copy(update={"index_min_rows": 10_000})
    served = storage.open_shard(index, 0, tmp_path, tuning, builders.Built)
    ids = [f"{row * 7919 % 3_000}" for row in range(3_000)]
    served.shard.write(operations.Upsert("", records.Rows(ids, vectors, [b""] * 3_000))).result(10)
    state = coded(served.shard.snapshot)
    quantised = []
    served.shard.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "vectorfleet_shardnode.engines.fast_scan.Quantiser.codes",
            lambda _, given: quantised.append(given),
        )
        served.maintenance.step()
    [sealed] = served.shard.snapshot.sealed
    assert not quantised
    assert state.sketch.covered(sealed.segment) == 3_000
    assert share_found(served.shard.snapshot, clustered(40, 3)) > 0.98
    served.close()


@pytest.mark.parametrize("seed", range(4))
def test_through_a_life_of_writes_what_lives_is_found_and_nothing_else(seed, tmp_path, monkeypatch) -> None:
    """Rows come, are replaced, deleted, sealed, and brought into a graph, in any order, between searches."""
    monkeypatch.setattr(sketching, "MIN_ROWS", 256)
    chance = np.random.default_rng(seed)
    index = config.IndexConfig(index="shop", serving=config.Generation(dimensions=DIMENSIONS))
    tuning = shards.TUNING.model_copy(
        update={"growing_rows": 700, "index_min_rows": 2_500, "settle_seconds": 3_600}
    )
    served = storage.open_shard(index, 0, tmp_path, tuning, builders.Built)
    by_codes, alive = 0, {}
    for turn in range(40):
        ids = np.unique(chance.integers(4_000, size=chance.integers(1, 300)))
        if chance.random() < 0.3 and alive:
            names = [str(number) for number in ids]
            served.shard.write(operations.DeleteIds("", names)).result(10)
            for name in names:
                alive.pop(name, None)
        else:
            vectors = clustered(len(ids), 1_000 * seed + turn)
            rows = records.Rows([str(number) for number in ids], vectors, [b""] * len(ids))
            served.shard.write(operations.Upsert("", rows)).result(10)
            alive |= dict(zip(rows.ids, vectors, strict=True))
        for _ in range(chance.integers(3)):
            served.maintenance.step()
        state, asked = served.shard.snapshot, question(clustered(8, turn))
        by_codes += any(state.sketch.covered(view.segment) for view in state.parts)
        names = np.array(list(alive))
        right = flat.search(state.metric, np.array(list(alive.values())), asked.queries, K).rows
        hits = 0
        for (_, place), best in zip(state.search(asked), right, strict=True):
            found = state.take(place, part.Fields(values=True, metadata=False))
            assert all(name in alive for name in found.ids)
            assert all(
                (alive[name] == given).all() for name, given in zip(found.ids, found.vectors, strict=True)
            )
            hits += len(set(found.ids) & set(names[best]))
        assert hits > 0.95 * right.size
    assert by_codes > 20
    served.close()
