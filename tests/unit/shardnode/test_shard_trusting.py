"""Codes under filters that leave far rows only: candidates that can't be trusted are told, and replaced."""

import numpy as np
import pytest

from vectorfleet_shardnode import bits
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, registry, rescoring, trusting
from vectorfleet_shardnode.segments import vectors_file

ROWS, DIMENSIONS, K = 2_000, 48, 10
KINDS, CODES = config.EngineKind, config.QuantizationKind


def test_candidates_far_ahead_of_the_others_are_trusted():
    """Where estimates are off by less than what lies between the last match and the worst candidate."""
    exact = np.linspace(1, 0, 40)[np.newaxis]
    off = np.where(np.arange(40) % 2, 0.01, -0.01)
    assert not trusting.doubtful((exact + off).astype(np.float32), exact.astype(np.float32), 5)[0]


def test_candidates_that_estimates_can_not_tell_apart_are_doubted():
    """Each query for itself."""
    numbers = np.random.default_rng(1)
    apart, alike = np.linspace(1, 0, 1_000), 0.001 * numbers.standard_normal(1_000)
    exact = np.stack([apart, alike])
    estimates = exact + 0.01 * numbers.standard_normal(exact.shape)
    chosen = np.argsort(-estimates, axis=1)[:, :40]
    candidates = [np.take_along_axis(scores, chosen, axis=1) for scores in (estimates, exact)]
    assert trusting.doubtful(*candidates, 5).tolist() == [False, True]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with vectors that lie about equally far from each other."""
    folder = tmp_path_factory.mktemp("far")
    vectors = np.random.default_rng(2).standard_normal((ROWS, DIMENSIONS), np.float32)
    comparable = base.comparable(config.Metric.COSINE, vectors)
    vectors_file.write(folder / "vectors.bin", DIMENSIONS, ROWS, [comparable])
    return folder


def recall(home, engine, code):
    """Return recall@10 under filters that leave the farther half of the rows."""
    stored = vectors_file.VectorsFile(home / "vectors.bin")
    folder = home / f"{engine}-{code}"
    spec = base.Spec(
        config.Metric.COSINE,
        engine,
        config.HnswParameters(m=8, ef_construction=40),
        config.IvfParameters(),
        config.Quantization(kind=code, ratio=16),
    )
    if not folder.exists():
        folder.mkdir()
        registry.build(spec, stored.vectors, base.Home(folder))
    opened, numbers = registry.open_engine(spec, stored, ROWS, base.Home(folder)), np.random.default_rng(3)
    hits = 0
    for query in base.comparable(config.Metric.COSINE, numbers.standard_normal((12, DIMENSIONS), np.float32)):
        closeness = stored.vectors @ query
        chosen = np.argsort(closeness)[: ROWS // 2]
        right = set(chosen[np.argsort(-closeness[chosen])[:K]].tolist())
        effort = opened.widened(len(chosen), K, base.Effort(ef=100))
        found = opened.search(query[np.newaxis], K, bits.of_rows(chosen, ROWS), effort or base.Effort())
        hits += len(right & set(found.rows[0].tolist()))
    return hits / 12 / K


@pytest.mark.parametrize(
    ("engine", "code"),
    [
        (KINDS.FLAT, CODES.PQ),
        (KINDS.FLAT, CODES.RABITQ),
        (KINDS.HNSW, CODES.RABITQ),
        (KINDS.IVF, CODES.PQ),
    ],
)
def test_far_rows_are_found_though_codes_can_not_tell_them_apart(home, engine, code, monkeypatch):
    """Recall@10 of 0.95 under a filter that leaves the farther half, which codes alone miss."""
    assert recall(home, engine, code) >= 0.95
    monkeypatch.setattr(trusting, "_ERRORS", -1e9)  # everything is trusted
    assert recall(home, engine, code) < 0.95


def test_where_all_that_pass_are_too_many_more_candidates_are_scored(home, monkeypatch):
    """Sixteen times as many, which finds more, and not always enough."""
    monkeypatch.setattr(rescoring, "_READ_BYTES", 0)
    wide = recall(home, KINDS.FLAT, CODES.PQ)
    monkeypatch.setattr(trusting, "_ERRORS", -1e9)
    assert wide >= 2 * recall(home, KINDS.FLAT, CODES.PQ)
