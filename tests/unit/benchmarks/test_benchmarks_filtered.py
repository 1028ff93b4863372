"""Filters of the benchmark: what passes them, and their forms in other languages."""

import datasets
import filters
import numpy as np
import pytest
from peers import filtered, pgvector, qdrant

TREE = {"$and": [{"chance": {"$lt": 50}}, {"kind100": {"$in": ["word 0", "it's"]}}]}


def passes(tree, metadata):
    """Tell whether metadata pass a filter; written apart from the product."""
    if "$and" in tree:
        return all(passes(one, metadata) for one in tree["$and"])
    [(name, asked)] = tree.items()
    [(operator, value)] = asked.items()
    return metadata[name] < value if operator == "$lt" else metadata[name] in value


@pytest.mark.parametrize("kind", filters.KINDS)
@pytest.mark.parametrize("share", [0.5, 0.05])
def test_a_filter_passes_the_rows_that_it_is_said_to(kind, share):
    """Metadata and masks agree, a new filter of the kind passes the same rows, and about the share does."""
    columns = filters.Columns(datasets.clustered(2000, 20))
    tree, mask = filters.KINDS[kind](columns, share)
    rows = [columns.metadata(row) for row in range(2000)]
    assert [passes(tree, row) for row in rows] == mask.tolist()
    assert [passes(filtered.renewed(tree, 1999), row) for row in rows] == mask.tolist()
    assert mask.mean() == pytest.approx(share, rel=0.3)


@pytest.mark.parametrize("kind", filters.KINDS)
def test_new_filters_differ(kind):
    """No two of the filters that are new each time are the same."""
    tree, _ = filters.KINDS[kind](filters.Columns(datasets.clustered(100, 20)), 0.1)
    assert len({repr(filtered.renewed(tree, number)) for number in range(2000)}) == 2000


def test_filters_in_the_form_of_qdrant():
    """Ranges and any-of become conditions that must hold, ANDs filters in a filter."""
    chance = {"must": [{"key": "chance", "range": {"lt": 50}}]}
    kind = {"must": [{"key": "kind100", "match": {"any": ["word 0", "it's"]}}]}
    assert qdrant.condition(TREE) == {"must": [chance, kind]}


def test_filters_in_sql():
    """Words are quoted; the statement asks for the rows that meet the condition."""
    assert pgvector.condition(TREE) == "chance < 50 AND kind100 IN ('word 0', 'it''s')"
    narrow = pgvector.Narrow(range(3), 5, "chance < 50")
    assert narrow.select("v") == "SELECT id FROM stored WHERE chance < 50 ORDER BY embedding <#> v LIMIT 5"
    assert (
        pgvector.Narrow(range(3), 5).select("v") == "SELECT id FROM stored ORDER BY embedding <#> v LIMIT 5"
    )


@pytest.mark.parametrize("condition", [qdrant.condition, pgvector.condition])
def test_a_filter_without_a_form_is_refused(condition):
    """An operator that was not put into the other language is no filter that passes everything."""
    with pytest.raises(ValueError, match=r"\$gt"):
        condition({"chance": {"$gt": 1}})


def test_queries_have_filters_in_turn():
    """Each body has the next filter, and without filters none has one."""
    asked = filtered._filtered(_api(), [{"a": 1}, {"a": 2}])
    assert [asked.body([0.0], 1, 1).get("filter") for _ in range(3)] == [{"a": 1}, {"a": 2}, {"a": 1}]
    assert "filter" not in filtered._filtered(_api(), []).body([0.0], 1, 1)


def test_the_place_is_near_its_own_queries():
    """The queries of filters that know a place are those nearest to it, the place itself first."""
    data = datasets.clustered(200, 150)
    chosen = filters.near_place(data)
    likeness = data.asked @ data.asked[chosen[0]]
    assert likeness[chosen[0]] == pytest.approx(1, abs=1e-5)
    assert likeness[chosen].min() >= np.delete(likeness, chosen).max()


def _api():
    return filtered.ours.api("http://127.0.0.1:1")
