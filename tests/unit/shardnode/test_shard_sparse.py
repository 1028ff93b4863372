"""Sparse values: checked against a brute-force oracle, over growing and sealed segments alike."""

import numpy as np
import pytest
from fixtures import shards
from fixtures.sparse_rows import (
    QUERY,
    ask,
    check,
    column_of,
    drawn,
    opened,
    oracle,
    shard_of,
    vector_of,
)

from vectorfleet_shardnode import filters, operations, records
from vectorfleet_shardnode.segments import growing_sparse


@pytest.mark.parametrize("sealed", [0, 400, 700], ids=["growing", "both", "sealed"])
@pytest.mark.parametrize("exact", [True, False], ids=["exact", "graph"])
@pytest.mark.parametrize("negative", [False, True], ids=["positive", "mixed"])
def test_the_best_rows_are_the_oracles(tmp_path, sealed, exact, negative):
    """Dense dot product + sparse dot product, by either way, whatever the signs, and the latter alone."""
    rows, held = drawn(700, negative=negative)
    served = shard_of(tmp_path, rows, sealed)
    numbers = np.random.default_rng(5)
    for scale in (0.01, 1, 30):
        dense = numbers.normal(size=4)
        expected = oracle(rows, held, dense * scale, QUERY)
        check(ask(served, dense * scale, QUERY, exact=exact), expected, 10)
    check(ask(served, None, QUERY, exact=exact), oracle(rows, held, None, QUERY), 10)
    assert ask(served, None, {123_456: 1.0}) == []
    served.close()


def test_a_score_that_is_too_great_is_the_greatest(tmp_path):
    """Infinity has no form in JSON."""
    served = opened(tmp_path)
    great = records.Rows(["a"], np.ones((1, 4), np.float32), [b""], {}, column_of({1: 3e38, 2: -3e38}))
    served.shard.write(operations.Upsert("", great)).result(10)
    assert ask(served, [0, 0, 0, 1], {1: 1e9}) == [("a", float(np.finfo(np.float32).max))]
    assert ask(served, [0, 0, 0, 1], {2: 1e9}) == [("a", float(np.finfo(np.float32).min))]
    served.close()


def test_filters_and_tombstones_come_before_the_best_are_chosen(tmp_path):
    """A query gets its k matches though all that is better is dead, or does not pass."""
    rows, held = drawn(700)
    served = shard_of(tmp_path, rows, 600)
    dense = [0.1, -0.2, 0.3, 0.05]
    expected = oracle(rows, held, dense, QUERY)
    best = sorted(expected, key=expected.get, reverse=True)
    served.shard.write(operations.DeleteIds("", best[:50])).result(10)
    wanted = filters.parse(b'{"n": {"$gte": 350}}')
    for row_id in best[:50]:
        del expected[row_id]
    check(ask(served, dense, QUERY, k=20), expected, 20)
    passing = {row_id: score for row_id, score in expected.items() if int(row_id[1:]) >= 350}
    check(ask(served, dense, QUERY, k=20, wanted=wanted), passing, 20)
    served.shard.write(operations.Upsert("other", shards.taken(rows, np.arange(5)))).result(10)
    check(ask(served, dense, QUERY, k=20), expected, 20)
    served.close()


@pytest.mark.parametrize("engine", ["hnswlib", "ivf", "flat"])
def test_every_engine_brings_candidates(tmp_path, engine):
    """What is found by another engine than FAISS's graph is scored alike."""
    rows, held = drawn(700)
    served = shard_of(tmp_path, rows, 700, engine=engine)
    dense = [0.5, -0.2, 0.3, 0.1]
    check(ask(served, dense, QUERY, k=5, exact=False), oracle(rows, held, dense, QUERY), 5)
    served.close()


@pytest.mark.parametrize("most", [1 << 17, 2_000])
def test_growing_products_are_right_at_every_size(monkeypatch, most):
    """Runs of postings, however large they may be, the rows behind them, and readers of fewer rows."""
    monkeypatch.setattr(growing_sparse, "_LARGEST_RUN", most)
    rows, held = drawn(1_500)
    growing, asked = growing_sparse.GrowingSparse(), vector_of(QUERY)
    growing.append(100, None)
    right = np.zeros(100)
    numbers, done = np.random.default_rng(4), 0
    while done < 1_500:
        step = int(numbers.integers(1, 200))
        chosen = np.arange(done, min(done + step, 1_500))
        growing.append(len(chosen), rows.sparse.take(chosen))
        right = np.append(right, [sum(held[at].get(i, 0) * w for i, w in QUERY.items()) for at in chosen])
        done += len(chosen)
        for count in (len(right), int(numbers.integers(0, len(right)))):
            found = growing.products(asked, count)
            np.testing.assert_allclose(found.of(np.arange(count)), right[:count], rtol=1e-9)
            assert found.rows.tolist() == np.flatnonzero(right[:count]).tolist()
    assert len(growing._runs) < (8 if most > 2_000 else 16)
