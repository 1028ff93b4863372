"""Queries by parts: checked against a brute-force oracle, over growing and sealed segments alike."""

import numpy as np
import pytest
from fixtures import builders

from vectorfleet_shardnode import errors, filters, keys, operations, ragged, records, shape, storage
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.engines import base, flat
from vectorfleet_shardnode.multivector import question as questions
from vectorfleet_shardnode.multivector import scoring, search
from vectorfleet_shardnode.segments import part
from vectorfleet_shardnode.settings import Tuning

COSINE, DOT, EUCLIDEAN = config.Metric.COSINE, config.Metric.DOTPRODUCT, config.Metric.EUCLIDEAN
TUNING = Tuning(index_min_rows=50, settle_seconds=0, build_threads=1, reserved_bytes=0)
TITLE = config.VectorField(name="title", dimensions=6)
BODY = config.VectorField(name="body", dimensions=5, late_interaction=True)
IDS = part.Fields(values=False, metadata=False)


def shape_of(metric):
    """Return what test rows are made of; only similarities have late interaction."""
    return shape.Shape(metric, 4, (TITLE,) if metric is EUCLIDEAN else (TITLE, BODY))


def generation_of(metric, **changes):
    """Return the generation with that shape."""
    return config.Generation(dimensions=4, metric=metric, vectors=shape_of(metric).fields, **changes)


def drawn(metric, count, seed):
    """Draw rows: every third lacks the title; bodies have 0 to 4 tokens."""
    numbers = np.random.default_rng(seed)

    def vectors(rows, dimensions):
        return numbers.normal(size=(rows, dimensions)).astype(np.float32)

    counts = {"title": (np.arange(count) % 3 > 0).astype(np.int64), "body": numbers.integers(0, 5, count)}
    fields = {
        field.name: ragged.of_counts(
            counts[field.name], vectors(int(counts[field.name].sum()), field.dimensions)
        )
        for field in shape_of(metric).fields
    }
    ids = [f"r{row}" for row in range(count)]
    metadata = [b'{"n":%d}' % row for row in range(count)]
    return records.Rows(ids, vectors(count, 4), metadata, fields)


def shard_of(folder, rows, metric, sealed, **changes):
    """Return a shard of these rows: sealed ones first, the others in memory."""
    index = config.IndexConfig(index="shop", serving=generation_of(metric, **changes))
    served = storage.open_shard(index, 0, folder, TUNING, builders.Built)
    for start, stop in ((0, sealed), (sealed, len(rows.ids))):
        chosen = np.arange(start, stop)
        if not len(chosen):
            continue
        piece = records.Rows(
            rows.ids[start:stop],
            rows.vectors[start:stop],
            rows.metadata[start:stop],
            {name: column.take(chosen) for name, column in rows.fields.items()},
        )
        served.shard.write(operations.Upsert("", piece)).result(10)
        for _ in range(6 if start == 0 else 0):
            served.maintenance.step()
    return served


def term(name, vectors, weight, metric):
    """Return a term of a question."""
    queries = base.comparable(metric, np.atleast_2d(np.array(vectors, np.float32)))
    return questions.Term(name, queries, weight, late=name == "body")


def ask(served, terms, k=10, **changes):
    """Search by parts; returns (id, score) pairs, best first."""
    depths = questions.depths_of(k, 0, 4, terms)
    given = {"namespace": "", "wanted": None, "ef": 100, "depths": depths, "exact": False} | changes
    state = served.shard.snapshot
    scores, place = search.search(state, questions.Question(terms=tuple(terms), k=k, **given))
    return list(zip(state.take(place, IDS).ids, scores.tolist(), strict=True))


def oracle(rows, terms, metric):
    """Return id → score, one row, term, token and item after the other, in float64."""

    def unit(vector):
        exact = np.asarray(vector, np.float64)
        return exact / np.linalg.norm(exact) if metric is COSINE else exact

    def score(items, queries, late):
        if metric is EUCLIDEAN:
            return float(((items[0] - queries[0]) ** 2).sum())
        return sum(max(float(unit(item) @ query) for item in items) for query in queries)

    found = {}
    for row, row_id in enumerate(rows.ids):
        total, have = 0.0, []
        for one in terms:
            items = (
                rows.vectors[row : row + 1]
                if not one.field
                else rows.fields[one.field].take(np.array([row])).items
            )
            have.append(len(items) > 0)
            if len(items):
                total += one.weight * score(
                    items.astype(np.float64), one.queries.astype(np.float64), one.late
                )
        if all(have) if metric is EUCLIDEAN else any(have):
            found[row_id] = total
    return found


def check_exact(found, expected, metric, k):
    """The k best of the oracle, with its scores."""
    best = sorted(expected.values(), reverse=metric is not EUCLIDEAN)[:k]
    np.testing.assert_allclose([score for _, score in found], best, rtol=1e-4, atol=1e-5)
    for row_id, score in found:
        np.testing.assert_allclose(score, expected[row_id], rtol=1e-4, atol=1e-5)


QUERY = np.random.default_rng(3).normal(size=(4, 6)).astype(np.float32)
CASES = {
    "named": [("title", QUERY[:1], 1)],
    "values and named": [("", QUERY[:1, :4], 0.5), ("title", QUERY[1:2], 2)],
    "late": [("body", QUERY[:, :5], 1)],
    "all three": [("", QUERY[:1, :4], 1), ("title", QUERY[1:2], 0.3), ("body", QUERY[:3, :5], 0.2)],
    "unlike": [("", QUERY[:1, :4], 1), ("title", QUERY[1:2], -0.7)],
    "unlike only": [("title", QUERY[1:2], -1)],
    "late unlike": [("body", QUERY[:2, :5], -1)],
}


PLAIN = [name for name, parts in CASES.items() if all(field != "body" for field, _, _ in parts)]
ASKED = [(metric, name) for metric in (COSINE, DOT) for name in CASES] + [(EUCLIDEAN, name) for name in PLAIN]
BY_GRAPH = [
    (metric, name)
    for metric, name in ASKED
    if "unlike" not in name or (name in PLAIN and metric is not EUCLIDEAN)
]


def terms_of(metric, name):
    """Return the terms of a case."""
    return [term(field, vectors, weight, metric) for field, vectors, weight in CASES[name]]


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


def test_rows_are_bounded_by_where_they_were_found():
    """The best of a row's vectors counts for each query; how far it is from the farthest is its gain."""
    scores = np.array([[0.9, 0.7, 0.5], [0.8, 0.6, 0.0]], np.float32)
    found = base.Neighbours(scores, np.array([[4, 5, 9], [9, 4, -1]]))
    near = part.nearest_of(found, np.array([2, 2, 3, 3, 2]))  # vectors 4 and 5 are of row 2
    assert near.rows.tolist() == [2, 3]
    np.testing.assert_allclose(near.farthest, [0.5, 0.6])
    np.testing.assert_allclose(near.gains, [0.9 - 0.5 + 0.6 - 0.6, 0.5 - 0.5 + 0.8 - 0.6], atol=1e-6)


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


def part_of(field, vectors, weight=1.0):
    """Return a part of a query as a request has it."""
    return shard_pb2.QueryPart(field=field, vectors=np.array(vectors, "<f4").tobytes(), weight=weight)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([part_of("summary", [1, 2])], 'no vector field "summary"; it has "title", "body"'),
        ([part_of("title", [1, 2])], 'field "title" has 6 dimensions; 8 bytes'),
        ([part_of("title", [[1] * 6] * 2)], '2 vectors were sent for field "title"; one is taken'),
        ([part_of("body", [])], '0 vectors were sent for field "body"; 1 to 512'),
        ([part_of("body", [[1] * 5] * 513)], '513 vectors were sent for field "body"; 1 to 512'),
        ([part_of("body", [0] * 5)], "vector 0 is all zeros"),
        ([part_of("", [1, 2, 3])], "has 4 dimensions; 1 vectors came with 3"),
        ([part_of("", [1] * 4), part_of("", [1] * 4, 0)], "part 1 has the weight 0; .* other than 0"),
        ([part_of("", [1] * 4, np.inf)], "part 0 has the weight inf"),
        ([part_of("", [1] * 4)] * 17, "the query has 17 parts; at most 16"),
    ],
)
def test_what_can_not_be_asked_is_refused(parts, said):
    """With what would be right."""
    with pytest.raises(errors.BadRequestError, match=said):
        questions.parse_terms(parts, shape_of(COSINE))


@pytest.mark.parametrize(
    ("sent", "metric"), [(part_of("", [1] * 4, -1), EUCLIDEAN), (part_of("body", [1] * 5, -1), COSINE)]
)
def test_what_no_graph_can_look_for_needs_an_exact_search(sent, metric):
    """The farthest, and the least similar by MaxSim; other negative weights are as good as positive ones."""
    with pytest.raises(errors.BadRequestError, match=r"part 0 has the weight -1; .* needs exact search"):
        questions.parse_terms([sent], shape_of(metric))
    assert questions.parse_terms([sent], shape_of(metric), exact=True)[0].weight == -1
    assert questions.parse_terms([part_of("", [1] * 4, -1)], shape_of(COSINE))[0].weight == -1


def test_a_query_looks_deeper_as_long_as_it_must():
    """From topK x oversampling on in steps, bounded; a query's own oversampling is obeyed as it is."""
    plain, late = [term("title", QUERY[:1], 1, COSINE)], [term("body", QUERY[:, :5], 1, COSINE)]
    many = [term("body", np.ones((100, 5)), 1, COSINE)]
    assert questions.depths_of(10, 0, 4, plain) == (40, 160, 640, 2_560)
    assert questions.depths_of(10, 0, 4, late) == (80, 320, 1_280, 5_120)
    assert questions.depths_of(10, 0, 4, many) == (80, 320, 1_000)
    assert questions.depths_of(1, 0, 4, plain) == (32, 128, 512, 2_048)
    assert questions.depths_of(1_000, 0, 4, plain) == (4_000, 10_000)
    assert questions.depths_of(1_000, 0, 4, many) == (8_000,)
    assert questions.depths_of(10, 3, 4, late) == (30,)
    assert questions.depths_of(10_000, 100, 4, late) == (10_000,)


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
