"""A shard with vector fields against a dictionary, through writes, maintenance, restarts and crashes.

Rows keep the fields that were written, bit for bit, and exact queries by parts are a brute-force oracle's.
"""

import numpy as np
from hypothesis import stateful
from hypothesis import strategies as st
from modelling import machines

from vectorfleet_shardnode import keys, operations, ragged, records
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base
from vectorfleet_shardnode.multivector import question as questions
from vectorfleet_shardnode.multivector import search
from vectorfleet_shardnode.segments import part
from vectorfleet_shardnode.settings import Tuning

DIMENSIONS = {"": 2, "title": 3, "body": 2}
CODES = st.sampled_from(
    [config.Quantization(kind=kind, ratio=4, oversampling=1) for kind in config.QuantizationKind]
)
TUNING = Tuning(
    growing_rows=6,
    unindexed_bytes=300,
    index_min_rows=8,
    settle_seconds=0,
    build_threads=1,
    reserved_bytes=0,
)
ids = st.sampled_from([f"n{number}" for number in range(40)])


def matrices(dimensions, least, most):
    """Draw matrices of some vectors, none of them all zeros."""
    vectors = st.lists(st.integers(-3, 3), min_size=dimensions, max_size=dimensions).filter(any)
    return st.lists(vectors, min_size=least, max_size=most).map(
        lambda rows: np.array(rows, np.float32).reshape(-1, dimensions) * np.float32(0.1)
    )


values, titles, bodies = matrices(2, 1, 1), matrices(3, 0, 1), matrices(2, 0, 3)


class FieldsMachine(machines.OneShard):
    """The rules; `expected` is the dictionary: id → field → its vectors, the rows' values among them."""

    tuning = TUNING

    @stateful.initialize(
        metric=st.sampled_from([config.Metric.COSINE, config.Metric.DOTPRODUCT]),
        steps=st.sampled_from([0, 3, 9]),
        title=CODES,
        body=CODES,
    )
    def begin(self, metric, steps, title, body):
        self.metric = metric
        hnsw = config.HnswParameters(m=2, ef_construction=8, ef_search=1)
        fields = (
            config.VectorField(name="title", dimensions=3, quantization=title),
            config.VectorField(name="body", dimensions=2, late_interaction=True, quantization=body),
        )
        generation = config.Generation(dimensions=2, metric=metric, hnsw=hnsw, vectors=fields)
        self.expected: dict[str, dict[str, np.ndarray]] = {}
        self.move_in(config.IndexConfig(index="model", serving=generation))
        numbers = np.random.default_rng(steps)
        for start in range(0, 40, 10):
            drawn = [numbers.integers(1, 9, shape).astype(np.float32) for shape in ((1, 2), (1, 3), (2, 2))]
            self.upsert(
                {f"n{row}": tuple(items * (row + 1) for items in drawn) for row in range(start, start + 10)}
            )
        self.maintain(steps)

    @stateful.rule(rows=st.dictionaries(ids, st.tuples(values, titles, bodies), min_size=1, max_size=10))
    def upsert(self, rows):
        named = {row_id: dict(zip(DIMENSIONS, row, strict=True)) for row_id, row in rows.items()}
        fields = {
            name: ragged.of_counts(
                np.array([len(row[name]) for row in named.values()]),
                np.concatenate([row[name] for row in named.values()]),
            )
            for name in ("title", "body")
        }
        vectors = np.concatenate([row[""] for row in named.values()])
        columns = records.Rows(list(rows), vectors, [b""] * len(rows), fields)
        assert self.write(operations.Upsert("", columns)) == len(rows)
        self.expected |= named

    @stateful.rule(row_id=ids, vector=st.none() | values, title=st.none() | titles, body=st.none() | bodies)
    def update(self, row_id, vector, title, body):
        sent = {"title": title, "body": body}
        fields = {
            name: ragged.of_counts(np.array([len(items)]), items)
            for name, items in sent.items()
            if items is not None
        }
        affected = self.write(operations.Update("", row_id, vector, {}, fields))
        assert affected == (row_id in self.expected)
        if affected:
            changed = {name: items for name, items in {"": vector, **sent}.items() if items is not None}
            self.expected[row_id] = self.expected[row_id] | changed

    @stateful.rule(gone=st.lists(ids, unique=True, max_size=5))
    def delete(self, gone):
        affected = self.write(operations.DeleteIds("", gone))
        assert affected == sum(self.expected.pop(row_id, None) is not None for row_id in gone)

    @stateful.invariant()
    def rows_are_equal(self):
        state = self.state
        listed = list(self.expected)
        rows = state.take(state.locate(keys.keys_of("", listed)), part.Fields(values=True, metadata=False))
        assert rows.ids == listed
        columns = {"": ragged.of_counts(np.ones(len(listed), np.int64), rows.vectors), **rows.fields}
        for name, column in columns.items():
            wanted = [self.expected[row_id][name] for row_id in listed]
            assert column.counts.tolist() == [len(items) for items in wanted]
            assert column.items.tobytes() == b"".join(items.tobytes() for items in wanted)

    @stateful.rule(
        parts=st.dictionaries(st.sampled_from(list(DIMENSIONS)), st.sampled_from([1, 0.5, 3]), min_size=1),
        vectors=st.tuples(values, matrices(3, 1, 1), matrices(2, 1, 3)),
        k=st.sampled_from([1, 3, 20]),
        exact=st.booleans(),
    )
    def search(self, parts, vectors, k, exact):
        """An exact query is the oracle's; any other has as many matches, with right scores, best first."""
        given = dict(zip(DIMENSIONS, vectors, strict=True))
        terms = tuple(
            questions.Term(name, base.comparable(self.metric, given[name]), weight, late=name == "body")
            for name, weight in parts.items()
        )
        depths = questions.depths_of(k, 1, 1, terms)
        state = self.state
        scores, place = search.search(state, questions.Question("", terms, k, None, 1, depths, exact))
        found = state.take(place, part.Fields(values=False, metadata=False)).ids
        right = self.oracle(terms)
        assert len(found) == len(set(found)) == min(k, len(right))
        np.testing.assert_allclose(scores, [right[row_id] for row_id in found], rtol=1e-4, atol=1e-5)
        assert (np.diff(scores) <= 0).all()
        if exact:
            best = sorted(right.values(), reverse=True)[:k]
            np.testing.assert_allclose(scores, best, rtol=1e-4, atol=1e-5)

    def oracle(self, terms):
        """Return id → score of the rows that have one of the fields at least."""
        found = {}
        for row_id, row in self.expected.items():
            held = [(term, base.comparable(self.metric, row[term.field])) for term in terms]
            if any(len(items) for _, items in held):
                found[row_id] = sum(
                    term.weight * sum((items @ query).max() for query in term.queries)
                    for term, items in held
                    if len(items)
                )
        return found


FieldsMachine.TestCase.settings = machines.settings(16)
TestFieldsModel = FieldsMachine.TestCase
