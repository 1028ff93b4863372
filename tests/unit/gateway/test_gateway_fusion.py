"""Two lists become one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_gateway import fusion, routing

VECTOR, TEXT = fusion.Source.VECTOR, fusion.Source.TEXT
RRF = fusion.Fusion(fusion.Method.RRF, candidates=100)


def hits(*scored):
    """Return a list of (id, score), best first."""
    return [routing.Hit(routing.Row(row_id, None), np.float32(score)) for row_id, score in scored]


def fused(vector, text, how=RRF, top_k=10):
    """Return (id, score) of the fused list."""
    found = fusion.fuse({VECTOR: vector, TEXT: text}, how, top_k)
    return [(one.hit.row.id, float(one.hit.score)) for one in found]


def weighted(alpha):
    """Return the convex combination."""
    return fusion.Fusion(fusion.Method.WEIGHTED, candidates=100, alpha=alpha)


def test_reciprocal_ranks_are_added():
    """By the formula of Cormack, Clarke and Büttcher: k is 60, ranks begin with 1, scores do not matter."""
    found = fused(hits(("a", 0.9), ("b", 0.1)), hits(("b", 7.0), ("c", 6.9)))
    assert found == [
        ("b", pytest.approx(1 / 62 + 1 / 61)),
        ("a", pytest.approx(1 / 61)),
        ("c", pytest.approx(1 / 62)),
    ]


def test_a_small_k_lets_the_first_stand_out():
    """With k 1 one first place is worth more than two third ones; with k 60 it is not."""
    vector, text = hits(("a", 3), ("x", 2), ("b", 1)), hits(("c", 3), ("y", 2), ("b", 1))
    steep = fusion.Fusion(fusion.Method.RRF, candidates=100, k=1)
    assert fused(vector, text)[0][0] == "b"
    assert [row_id for row_id, _ in fused(vector, text, steep)[:2]] == ["a", "b"]


def test_weighted_scores_lie_between_0_and_1():
    """A vector's score counts from the list's worst to its best, a text's as a part of the best."""
    vector, text = hits(("a", 0.9), ("b", 0.7), ("c", 0.5)), hits(("b", 8.0), ("a", 4.0))
    assert fused(vector, text, weighted(0.5)) == [
        ("a", pytest.approx(0.5 * 1.0 + 0.5 * 0.5)),
        ("b", pytest.approx(0.5 * 0.5 + 0.5 * 1.0)),
        ("c", 0.0),
    ]


def test_distances_are_the_better_the_smaller():
    """The list is best first whatever the metric; the nearest has 1 and the farthest 0."""
    assert fused(hits(("a", 0.0), ("b", 3.0), ("c", 4.0)), [], weighted(1.0)) == [
        ("a", 1.0),
        ("b", 0.25),
        ("c", 0.0),
    ]


def test_one_match_or_equal_ones_have_all_of_the_weight():
    """There is no worst to count from."""
    assert fused(hits(("a", 0.2)), hits(("b", 0.0), ("c", 0.0)), weighted(0.25)) == [
        ("b", 0.75),
        ("c", 0.75),
        ("a", 0.25),
    ]


def test_places_are_told():
    """Each match knows its rank and score in the lists that had it."""
    (a, b) = fusion.fuse({VECTOR: hits(("a", 0.5)), TEXT: hits(("b", 2.0), ("a", 1.0))}, RRF, 2)
    assert (a.hit.row.id, a.places[VECTOR].rank, a.places[TEXT].rank) == ("a", 1, 2)
    assert b.places == {TEXT: fusion.Place(1, np.float32(2.0))}


SCORED = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-5, 5, width=32))
SCORED_BY_TEXT = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 5, width=32))


@given(SCORED, SCORED_BY_TEXT, st.sampled_from([RRF, weighted(0.3)]), st.integers(1, 9))
def test_a_fusion_is_a_ranking_of_the_union(one, other, how, top_k):
    """Each row once, greatest score first, ties by id; a shorter list is a longer one's beginning."""
    lists = [
        hits(*sorted(scored.items(), key=lambda entry: (-entry[1], entry[0]))) for scored in (one, other)
    ]
    found = fusion.fuse(dict(zip(fusion.Source, lists, strict=True)), how, 100)
    assert {match.hit.row.id for match in found} == one.keys() | other.keys()
    assert len(found) == len(one.keys() | other.keys())
    scores = [match.hit.score for match in found]
    assert scores == sorted(scores, reverse=True)
    assert fusion.fuse(dict(zip(fusion.Source, lists, strict=True)), how, top_k) == found[:top_k]
