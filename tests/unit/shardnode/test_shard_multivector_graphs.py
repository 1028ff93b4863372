"""Graphs over vector fields: what they bring, and how they are extended."""

import numpy as np
import pytest
from fixtures.multivector import (
    COSINE,
    DOT,
    QUERY,
    ask,
    check_exact,
    drawn,
    oracle,
    shard_of,
    term,
    terms_of,
)
from fixtures.shards import IDS

from vectorfleet_shardnode import filters, keys, operations, ragged, records
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, flat
from vectorfleet_shardnode.segments import part


def test_a_graph_is_walked_for_rows_that_pass(tmp_path):
    """Where many rows pass, the graph is asked; it gives no row that doesn't."""
    rows = drawn(COSINE, 2_000, 4)
    served = shard_of(tmp_path, rows, COSINE, 2_000, hnsw=config.HnswParameters(m=4, ef_construction=64))
    [view] = served.shard.snapshot.sealed
    terms = [term("title", QUERY[:1], 1, COSINE)]
    wanted = filters.parse(b'{"n": {"$lt": 1200}}')
    sought = part.Sought("title", terms[0].queries, 32, view.matching("", wanted), 8)
    near = view.nearest(sought)
    assert len(near.rows) >= 30
    assert set(near.rows) <= set(sought.rows)
    assert all(int(row_id[1:]) < 1_200 for row_id, _ in ask(served, terms, k=8, wanted=wanted, ef=8))
    served.close()


@pytest.mark.parametrize("metric", [COSINE, DOT])
def test_graphs_of_fields_are_extended(tmp_path, metric):
    """Rows that come later, updates and deletions among them, join the graph; what died is never found."""
    rows = drawn(metric, 600, 14)
    served = shard_of(tmp_path, rows, metric, 400)
    served.shard.write(operations.DeleteIds("", [f"r{row}" for row in range(20)])).result(10)
    graph = {}
    for column in rows.fields.values():
        column.items[column.positions(np.arange(20, 30))] *= -1
    again = np.concatenate([np.arange(20, 30), np.arange(400, 600)])
    changed = records.Rows(
        [rows.ids[row] for row in again],
        rows.vectors[again],
        [rows.metadata[row] for row in again],
        {name: column.take(again) for name, column in rows.fields.items()},
    )
    served.shard.write(operations.Upsert("", changed)).result(10)
    for _ in range(8):
        served.maintenance.step()
    [view] = served.shard.snapshot.sealed
    for name in ("title", "body"):
        field = view.segment.field(name)
        graph[name] = len(field.graph.nodes) - len(field.compared.items)
        assert field.stored.items.tobytes() == served_items(rows, name, view)
    assert graph["title"] == 13 + 7
    assert graph["body"] > 0
    living = records.Rows(
        rows.ids[20:],
        rows.vectors[20:],
        rows.metadata[20:],
        {name: column.take(np.arange(20, 600)) for name, column in rows.fields.items()},
    )
    for name in ("title", "body"):
        field = view.segment.field(name)
        queries = np.ascontiguousarray(field.compared.items[::5])
        by_graph = field.engine.search(queries, 1, None, base.Effort(ef=100)).rows
        exactly = flat.search(metric, np.ascontiguousarray(field.compared.items), queries, 1).rows
        assert (by_graph == exactly).mean() > 0.95
    for terms in (terms_of(metric, "late"), terms_of(metric, "named")):
        check_exact(ask(served, terms, exact=True), oracle(living, terms, metric), metric, 10)
    served.close()


def served_items(rows, name, view):
    """Return a field's bytes in the order of the segment's rows."""
    ids = view.segment.columns.ids(range(view.segment.rows))
    return rows.fields[name].take(np.array([int(row_id[1:]) for row_id in ids])).items.tobytes()


CODES = config.Quantization(kind=config.QuantizationKind.SQ8)


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": config.EngineKind.HNSWLIB},
        {"engine": config.EngineKind.IVF, "ivf": config.IvfParameters(lists=20, probes=10)},
        {"engine": config.EngineKind.HNSW, "quantization": CODES},
    ],
    ids=["hnswlib", "ivf", "sq8"],
)
def test_every_engine_brings_candidates(tmp_path, changes):
    """Scores are the oracle's whatever is searched, and little is missing."""
    rows = drawn(COSINE, 2_000, 15)
    served = shard_of(tmp_path, rows, COSINE, 2_000, **changes)
    [view] = served.shard.snapshot.sealed
    assert view.segment.field("body").engine is not None
    terms = terms_of(COSINE, "all three")
    found, expected = dict(ask(served, terms)), oracle(rows, terms, COSINE)
    for row_id, score in found.items():
        np.testing.assert_allclose(score, expected[row_id], rtol=1e-4, atol=1e-5)
    assert len(found.keys() & set(sorted(expected, key=expected.get, reverse=True)[:10])) >= 9
    served.close()


def test_a_row_is_found_by_its_own_vectors(tmp_path):
    """MaxSim of a row with itself is its number of tokens; the values' score is the plain query's."""
    rows = drawn(COSINE, 50, 11)
    served = shard_of(tmp_path, rows, COSINE, 50)
    state = served.shard.snapshot
    for row in range(50):
        own = rows.fields["body"].take(np.array([row])).items
        if len(own):
            [(row_id, score)] = ask(served, [term("body", own, 1, COSINE)], k=1)
            assert row_id == f"r{row}" or len(own) == 1
            assert score == pytest.approx(len(own), abs=1e-5)
    values = ask(served, [term("", rows.vectors[3], 1, COSINE)], k=10)
    plain = part.Question("", state.comparable(rows.vectors[3:4]), 10, None, 32, True)
    [(scores, place)] = state.search(plain)
    assert [row_id for row_id, _ in values] == state.take(place, IDS).ids
    np.testing.assert_allclose([score for _, score in values], scores, atol=1e-6)
    found = state.locate(keys.keys_of("", ["r3"]))
    assert state.take(found, part.Fields(True, False)).fields["title"].rows == 1
    served.close()


def test_token_matrices_are_found_as_by_an_exact_search(tmp_path):
    """Recall@10 of candidates and rescoring is 0.95 or more on passages that share words and topics."""
    numbers = np.random.default_rng(12)
    words, topics = numbers.normal(size=(600, 5)), numbers.normal(size=(20, 5))
    counts = numbers.integers(10, 30, 2_000)
    of_row = np.repeat(numbers.integers(0, 20, 2_000), counts)
    noise = 0.4 * numbers.normal(size=(len(of_row), 5))
    items = words[numbers.integers(0, 600, len(of_row))] + 0.5 * topics[of_row] + noise
    rows = drawn(COSINE, 2_000, 13)
    rows.fields["body"] = ragged.of_counts(counts, items.astype(np.float32))
    served = shard_of(tmp_path, rows, COSINE, 2_000)
    hits = 0
    for row in range(40):
        own = rows.fields["body"].take(np.array([row * 50])).items
        asked = [term("body", own[:8] + 0.4 * numbers.normal(size=own[:8].shape), 1, COSINE)]
        hits += len(dict(ask(served, asked)).keys() & dict(ask(served, asked, exact=True)).keys())
    assert hits >= 0.95 * 400
    served.close()
