"""Queries by parts: checked against a brute-force oracle, over growing and sealed segments alike."""

import numpy as np
import pytest
from fixtures.multivector import (
    ASKED,
    BY_GRAPH,
    COSINE,
    EUCLIDEAN,
    QUERY,
    ask,
    check_exact,
    drawn,
    oracle,
    shard_of,
    term,
    terms_of,
)

from vectorfleet_shardnode import filters, operations, ragged
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base
from vectorfleet_shardnode.multivector import scoring


@pytest.mark.parametrize("sealed", [0, 60, 100])
@pytest.mark.parametrize(("metric", "name"), ASKED)
def test_an_exact_query_is_the_oracles(tmp_path, metric, name, sealed):
    """For each metric and kind of sum, wherever the rows stand."""
    case = terms_of(metric, name)
    rows = drawn(metric, 100, 1)
    served = shard_of(tmp_path, rows, metric, sealed)
    check_exact(ask(served, case, exact=True), oracle(rows, case, metric), metric, 10)
    served.close()


@pytest.mark.parametrize(("metric", "name"), BY_GRAPH)
def test_candidates_are_rescored_exactly(tmp_path, metric, name):
    """Whatever graphs find has the oracle's score, and little that is better is missing.

    Fields are independent of each other here, which is the hardest for candidates of one field at a time.
    """
    case = terms_of(metric, name)
    rows = drawn(metric, 3_000, 2)
    served = shard_of(tmp_path, rows, metric, 3_000)
    [view] = served.shard.snapshot.sealed
    assert view.segment.field("title").engine is not None
    found, expected = dict(ask(served, case)), oracle(rows, case, metric)
    assert len(found) == 10
    for row_id, score in found.items():
        np.testing.assert_allclose(score, expected[row_id], rtol=1e-4, atol=1e-5)
    best = sorted(expected, key=expected.get, reverse=metric is not EUCLIDEAN)[:10]
    assert len(found.keys() & set(best)) >= 9
    served.close()


def test_namespace_filter_and_deletions_come_before_the_search(tmp_path):
    """Few rows pass, far from the query: all of them are found, and no other."""
    rows = drawn(COSINE, 2_000, 4)
    served = shard_of(tmp_path, rows, COSINE, 2_000)
    served.shard.write(operations.DeleteIds("", ["r1003", "r1004"])).result(10)
    for terms in ([term("body", QUERY[:, :5], 1, COSINE)], [term("title", QUERY[:1], 1, COSINE)]):
        for low, high in ((1_000, 1_010), (1_000, 1_900)):
            wanted = filters.parse(b'{"n": {"$gte": %d, "$lt": %d}}' % (low, high))
            passing = {row_id for row_id in oracle(rows, terms, COSINE) if low <= int(row_id[1:]) < high}
            passing -= {"r1003", "r1004"}
            found = [row_id for row_id, _ in ask(served, terms, k=2_000, wanted=wanted)]
            assert set(found) == passing
            found = [row_id for row_id, _ in ask(served, terms, k=7, wanted=wanted)]
            assert set(found) <= passing
            assert len(found) == min(7, len(passing))
        assert ask(served, terms, namespace="elsewhere") == []
    served.close()


@pytest.mark.parametrize("metric", config.Metric)
def test_several_segments_answer_as_one(tmp_path, metric):
    """What one part has found spares the others a deeper look, and loses nothing."""
    rows = drawn(metric, 900, 16)
    served = shard_of(tmp_path, rows, metric, 300)
    served.shard.freeze().result(10)
    served.maintenance.step()
    apart = [view.segment.rows for view in served.shard.snapshot.sealed]
    assert apart == [300, 600]
    name = "values and named" if metric is EUCLIDEAN else "all three"
    terms = terms_of(metric, name)
    for k in (1, 10, 400):
        found, expected = ask(served, terms, k=k), oracle(rows, terms, metric)
        wanted = set(sorted(expected, key=expected.get, reverse=metric is not EUCLIDEAN)[:k])
        assert len(found) == min(k, len(expected))
        assert len({row_id for row_id, _ in found} & wanted) >= 0.95 * len(wanted)
    served.close()


def test_rows_full_of_near_tokens_do_not_crowd_out_matches(tmp_path):
    """A query gets its k matches though all nearest tokens are of one row."""
    rows = drawn(COSINE, 400, 5)
    counts = np.full(400, 3)
    counts[0] = 600
    items = np.random.default_rng(6).normal(size=(int(counts.sum()), 5)).astype(np.float32)
    items[:600] = QUERY[0, :5]
    rows.fields["body"] = ragged.of_counts(counts, items)
    served = shard_of(tmp_path, rows, COSINE, 400)
    found = ask(served, [term("body", QUERY[:1, :5], 1, COSINE)], k=5)
    assert len(found) == 5
    assert found[0][0] == "r0"
    served.close()


def test_work_in_pieces_gives_the_same_scores(monkeypatch):
    """However small the pieces are; rows in any order, those without items among them."""
    rows = drawn(COSINE, 50, 7)
    column = rows.fields["body"]
    column = ragged.Ragged(column.offsets, base.comparable(COSINE, column.items))
    one = term("body", QUERY[:, :5], 1, COSINE)
    chosen = np.random.default_rng(8).permutation(50)
    whole = scoring.scored(COSINE, one, column, chosen)
    monkeypatch.setattr(scoring, "_PIECE_VALUES", 1)
    np.testing.assert_allclose(scoring.scored(COSINE, one, column, chosen), whole, atol=1e-6)
    assert (whole[column.counts[chosen] == 0] == 0).all()


@pytest.mark.parametrize("metric", config.Metric)
def test_a_lacking_field_adds_nothing_or_does_not_match(tmp_path, metric):
    """Nothing to a sum of similarities; a distance can't be taken to what isn't there."""
    rows = drawn(metric, 30, 9)
    served = shard_of(tmp_path, rows, metric, 15)
    terms = [term("", QUERY[:1, :4], 1, metric), term("title", QUERY[:1], 1, metric)]
    found = dict(ask(served, terms, k=30))
    lacking = {f"r{row}" for row in range(0, 30, 3)}
    assert lacking.isdisjoint(found) if metric is EUCLIDEAN else lacking < set(found)
    titled = dict(ask(served, terms[1:], k=30))
    assert set(titled) == set(rows.ids) - lacking
    served.close()


def test_an_update_and_a_deletion_show_at_once(tmp_path):
    """In the next query, by graph and exactly."""
    rows = drawn(COSINE, 300, 10)
    served = shard_of(tmp_path, rows, COSINE, 300)
    terms = [term("body", QUERY[:2, :5], 1, COSINE)]
    best, second = [row_id for row_id, _ in ask(served, terms, k=2)]
    served.shard.write(operations.DeleteIds("", [best])).result(10)
    assert ask(served, terms, k=1)[0][0] == second
    moved = {"body": ragged.of_counts(np.array([1]), -QUERY[:1, :5])}
    served.shard.write(operations.Update("", second, None, {}, moved)).result(10)
    assert second not in dict(ask(served, terms, k=5))
    aimed = {"body": ragged.of_counts(np.array([2]), QUERY[:2, :5])}
    served.shard.write(operations.Update("", "r7", None, {}, aimed)).result(10)
    [(row_id, score)] = ask(served, terms, k=1)
    assert (row_id, round(score, 4)) == ("r7", 2.0)
    served.close()
