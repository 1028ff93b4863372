"""What every engine owes, with every code and metric: the rows and the scores of exact search."""

import dataclasses

import numpy as np
import pytest

from vectorfleet_shardnode import bits
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, codes, flat, gpu, recall, registry
from vectorfleet_shardnode.segments import vectors_file

ROWS, GHOSTS, DIMENSIONS = 1_500, 100, 16
KINDS, CODES = config.EngineKind, config.QuantizationKind
EF = 50
WITHOUT_GPU = gpu.refusal()
GPU = pytest.param(
    (KINDS.GPU, CODES.NONE),
    marks=[pytest.mark.gpu, pytest.mark.skipif(bool(WITHOUT_GPU), reason=WITHOUT_GPU)],
)
CODED = [
    (engine, code) for engine in (KINDS.FLAT, KINDS.HNSW, KINDS.IVF) for code in CODES if code != CODES.NONE
]
BUILT_HERE = [(KINDS.HNSW, CODES.NONE), (KINDS.HNSWLIB, CODES.NONE), (KINDS.IVF, CODES.NONE), *CODED]


def spec_of(metric, engine, code, **changes):
    """Return what to build."""
    given = {"kind": code, "ratio": 8, "oversampling": 10} | changes
    return base.Spec(
        metric,
        engine,
        config.HnswParameters(m=16, ef_construction=64, ef_search=100),
        config.IvfParameters(),
        config.Quantization(**given),
    )


@dataclasses.dataclass(frozen=True)
class Room:
    """An engine, what it was built from and over, and queries."""

    spec: base.Spec
    engine: base.Engine
    vectors: np.ndarray
    queries: np.ndarray

    def exact(self, k, rows=None):
        """Return the oracle's answer."""
        return flat.search(self.spec.metric, self.vectors, self.queries, k, rows)

    def ask(self, k, passing=None, effort=None):
        """Ask as a segment does; None where the engine would rather have all compared."""
        count = ROWS if passing is None else int(np.count_nonzero(passing))
        chosen = None if passing is None else bits.of_mask(passing)
        wider = self.engine.widened(count, k, effort or base.Effort(ef=EF))
        return None if wider is None else self.engine.search(self.queries, k, chosen, wider)


def clustered(count, seed=3):
    """Return vectors around 30 centres, of lengths that differ."""
    numbers = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((30, DIMENSIONS))
    made = centres[numbers.integers(30, size=count)] + 0.5 * numbers.standard_normal((count, DIMENSIONS))
    return (made * numbers.uniform(0.8, 1.3, (count, 1))).astype(np.float32)


def make(folder, spec, vectors):
    """Build an engine over vectors in a folder, and open it."""
    compared = base.comparable(spec.metric, vectors)
    vectors_file.write(folder / "vectors", vectors.shape[1], len(vectors), [compared])
    stored = vectors_file.VectorsFile(folder / "vectors")
    home = base.Home(folder, "x-")
    registry.build(spec, stored.vectors, home)
    assert {path.name for path in folder.glob("x-*")} == {"x-" + name for name in registry.files_of(spec)}
    rows = min(ROWS, len(vectors))
    engine = registry.open_engine(spec, stored, rows, home)
    return Room(spec, engine, stored.vectors[:rows], base.comparable(spec.metric, clustered(30, 9)))


@pytest.fixture(scope="module", params=list(config.Metric))
def metric(request):
    """Each metric."""
    return request.param


@pytest.fixture(scope="module", params=[*BUILT_HERE, GPU], ids="-".join)
def room(request, metric, tmp_path_factory):
    """Each engine with each of its codes; HNSW's graph has ghosts behind the rows."""
    engine, code = request.param
    ghosts = GHOSTS if engine is KINDS.HNSW else 0
    return make(tmp_path_factory.mktemp("engine"), spec_of(metric, engine, code), clustered(ROWS + ghosts))


def recall_of(found, right):
    """Return the share of the oracle's rows that were found."""
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.rows, right.rows, strict=True)])


def check(found, right, room):
    """Best first, no row twice, and each with the score that exact search gives it."""
    sign = -1 if base.larger_is_better(room.spec.metric) else 1
    everything = room.exact(len(room.vectors))
    for scores, rows, all_rows, all_scores in zip(
        found.scores, found.rows, everything.rows, everything.scores, strict=True
    ):
        present = rows >= 0
        assert len(set(rows[present].tolist())) == present.sum()
        assert (np.diff(sign * scores[present]) >= 0).all()
        by_row = np.empty(len(all_rows), np.float32)
        by_row[all_rows] = all_scores
        np.testing.assert_allclose(scores[present], by_row[rows[present]], rtol=1e-4, atol=1e-4)
    assert (found.rows < len(room.vectors)).all()


def test_it_finds_what_exact_search_finds(room):
    """Recall@10 of 0.9 or more, with exact scores: codes are rescored."""
    found, right = room.ask(10), room.exact(10)
    assert recall_of(found, right) >= 0.9
    check(found, right, room)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_only_rows_that_pass_come_back(room, share):
    """Under a selection recall holds, or the engine says that comparing all of them costs less."""
    passing = np.random.default_rng(5).random(ROWS) < share
    found = room.ask(10, passing)
    if found is None:
        return
    assert passing[found.rows[found.rows >= 0]].all()
    right = room.exact(10, np.flatnonzero(passing))
    assert recall_of(found, right) >= 0.85
    check(found, right, room)


def test_a_selection_far_from_the_queries_is_searched(room):
    """Where none of the rows that are near pass, those that pass still come back, or all are compared."""
    right = room.exact(ROWS)
    passing = np.ones(ROWS, np.bool_)
    passing[np.unique(right.rows[:, :30])] = False
    found = room.ask(10, passing)
    if found is not None:
        assert passing[found.rows[found.rows >= 0]].all()
        assert recall_of(found, room.exact(10, np.flatnonzero(passing))) >= 0.85


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_only_rows_far_from_a_query_pass(room, share):
    """Where what passes is what is farthest from the query, it is found as if the rest did not exist."""
    if room.spec.quantization.kind in (CODES.RABITQ, CODES.PQ):
        pytest.skip("far from a query these codes tell neighbours apart no better than by chance")
    everything = room.exact(ROWS)
    hits = []
    for number, query in enumerate(room.queries):
        passing = np.zeros(ROWS, np.bool_)
        passing[everything.rows[number, -int(share * ROWS) :]] = True
        alone = dataclasses.replace(room, queries=query[np.newaxis])
        found = alone.ask(10, passing)
        if found is not None:
            hits.append(recall_of(found, alone.exact(10, np.flatnonzero(passing))))
    assert not hits or np.mean(hits) >= 0.85


def test_a_walk_over_codes_that_would_not_reach_is_not_trusted(tmp_path):
    """A graph so large that it is walked: far rows are found by comparing all codes that pass."""
    spec = dataclasses.replace(
        spec_of(config.Metric.EUCLIDEAN, KINDS.HNSW, CODES.SQ8), hnsw=config.HnswParameters(m=4)
    )
    vectors = np.random.default_rng(2).standard_normal((6_000, DIMENSIONS)).astype(np.float32)
    vectors[:3_000] += 4
    registry.build(spec, vectors, base.Home(tmp_path))
    vectors_file.write(tmp_path / "vectors", DIMENSIONS, 6_000, [vectors])
    stored = vectors_file.VectorsFile(tmp_path / "vectors")
    engine = registry.open_engine(spec, stored, 6_000, base.Home(tmp_path))
    queries, far = vectors[:20], np.arange(6_000) >= 3_000
    effort = engine.widened(3_000, 10, base.Effort(ef=40))
    assert effort.ef
    found = engine.search(queries, 10, bits.of_mask(far), effort)
    right = flat.search(spec.metric, vectors, queries, 10, np.flatnonzero(far))
    assert recall_of(found, right) >= 0.95


def test_more_matches_than_rows(room):
    """Each row comes once at most, no ghosts; or the engine leaves it to exact search."""
    found = room.ask(ROWS)
    if found is not None:
        check(found, room.exact(ROWS), room)
    one = np.zeros(ROWS, np.bool_)
    one[7] = True
    found = room.ask(10, one)
    if found is not None:
        assert set(found.rows.ravel().tolist()) <= {7, -1}
    assert room.ask(10, np.zeros(ROWS, np.bool_)) is None


def test_one_query_is_answered_as_in_a_batch(room):
    """A batch is many queries, each answered as if it were alone."""
    together = room.ask(5)
    effort = room.engine.widened(ROWS, 5, base.Effort(ef=EF))
    for number in (0, 17):
        alone = room.engine.search(room.queries[number : number + 1], 5, None, effort)
        np.testing.assert_allclose(alone.scores[0], together.scores[number], rtol=1e-4, atol=1e-4)


def test_more_probes_find_more(metric, tmp_path):
    """A query may look into more lists than the index does, and finds more."""
    lists = make(tmp_path, spec_of(metric, KINDS.IVF, CODES.NONE), clustered(ROWS))
    right = lists.exact(10)
    few, many = (recall_of(lists.ask(10, effort=base.Effort(probes=probes)), right) for probes in (1, 1_000))
    assert few < many == 1


@pytest.mark.parametrize("engine", [KINDS.FLAT, KINDS.HNSW])
def test_more_candidates_find_more(metric, engine, tmp_path):
    """A query may have more candidates scored anew than the index does, and finds more."""
    bits = make(tmp_path, spec_of(metric, engine, CODES.RABITQ), clustered(ROWS))
    right = bits.exact(10)
    few, many = (
        recall_of(bits.ask(10, effort=base.Effort(ef=60, oversampling=times)), right) for times in (1, 30)
    )
    assert few + 0.1 < many


def test_without_rescoring_scores_are_the_codes(metric, tmp_path):
    """The estimate is returned as it is: near the exact score, not equal to it."""
    quick = make(tmp_path, spec_of(metric, KINDS.FLAT, CODES.SQ8), clustered(ROWS))
    found, everything = quick.ask(10, effort=base.Effort(rescore=False)), quick.exact(ROWS)
    exact = np.empty((30, ROWS), np.float32)
    np.put_along_axis(exact, everything.rows, everything.scores, axis=1)
    exact = np.take_along_axis(exact, found.rows, axis=1)
    assert not np.array_equal(found.scores, exact)
    np.testing.assert_allclose(found.scores, exact, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(("engine", "code"), CODED)
def test_the_same_rows_give_the_same_codes(engine, code, tmp_path):
    """A quantiser's chance has a fixed seed, so replicas that hold the same rows hold the same codes."""
    spec = spec_of(config.Metric.COSINE, engine, code)
    vectors = base.comparable(spec.metric, clustered(ROWS))
    written = set()
    name = registry.files_of(spec)[-1]
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        registry.build(spec, vectors, base.Home(folder))
        written.add((folder / name).read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize("rows", [1, 30])
@pytest.mark.parametrize(("engine", "code"), BUILT_HERE)
def test_few_rows_can_be_built_and_searched(engine, code, rows, tmp_path):
    """However few rows a segment is given, its engine is built, and answers or leaves it to exact search."""
    spec = spec_of(config.Metric.EUCLIDEAN, engine, code)
    few = make(tmp_path, spec, clustered(rows))
    effort = few.engine.widened(rows, 10, base.Effort(ef=EF))
    if effort is not None:
        found = few.engine.search(few.queries, min(10, rows), None, effort)
        assert found.rows.max() < rows
    assert 0 <= recall.sample_of(spec.metric, few.vectors).recall(few.engine, base.Effort(ef=EF)) <= 1


def test_a_sampled_row_that_finds_itself_is_no_merit():
    """Recall counts others only: an engine that finds nothing but the row itself has none."""
    vectors = clustered(500)
    sample = recall.sample_of(config.Metric.EUCLIDEAN, vectors)

    class Itself:
        def widened(self, passing, k, effort):
            return effort

        def search(self, queries, k, passing, effort):
            rows = np.full((len(queries), k), -1, np.int64)
            rows[:, 0] = sample.rows
            return base.Neighbours(np.zeros((len(queries), k), np.float32), rows)

    class Exact(Itself):
        def search(self, queries, k, passing, effort):
            return flat.search(config.Metric.EUCLIDEAN, vectors, queries, k)

    assert len(sample.rows) == recall.QUERIES
    assert sample.recall(Itself(), base.Effort()) == 0
    assert sample.recall(Exact(), base.Effort()) == 1


def test_codes_stay_the_files_own_pages(tmp_path):
    """Codes are mapped, not copied: the kernel may drop them and read them again."""
    make(tmp_path, spec_of(config.Metric.EUCLIDEAN, KINDS.FLAT, CODES.SQ8), clustered(ROWS))
    assert not codes.opened(tmp_path / "x-codes.faiss").index.codes.is_owned
