"""A shard against a dictionary: any sequence of writes, maintenance, restarts and crashes leaves them equal.

Rows with sparse values or without, counts and lists, searches by vector, by vector and sparse vector, and
text search against BM25 of the dictionary's live rows.

Segments are tiny, so that a few steps already flush, merge, and search graphs.
"""

import contextlib
import json
from unittest import mock

import numpy as np
from fixtures.sparse_rows import column_of
from hypothesis import stateful
from hypothesis import strategies as st
from modelling import machines
from oracles import bm25

from vectorfleet_shardnode import (
    failpoints,
    filters,
    keys,
    operations,
    records,
    sparse,
    text_search,
)
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, flat
from vectorfleet_shardnode.multivector import question as questions
from vectorfleet_shardnode.multivector import search as parts_search
from vectorfleet_shardnode.segments import part
from vectorfleet_shardnode.settings import Tuning

DIMENSIONS = 4
TUNING = Tuning(
    growing_rows=8,
    log_file_bytes=2_000,
    log_retained_bytes=3_000,
    unindexed_bytes=300,
    index_min_rows=10,
    settle_seconds=0,
    build_threads=1,
    reserved_bytes=0,
)
EVERYTHING = part.Fields(values=True, metadata=True)

namespaces = st.sampled_from(["", "", "", "a", "é"])
ids = st.sampled_from(["x", "y", "ab", "abc", "ö", "漢", *(f"n{number}" for number in range(40))])
values = st.lists(st.integers(-3, 3), min_size=DIMENSIONS, max_size=DIMENSIONS).filter(any)
vectors = values.map(lambda whole: np.array([whole], np.float32) * np.float32(0.1))
plain = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from([1, 2, True, "1", ["1", "2"]]))
WORDS = ("red", "cat", "cats", "the", "running", "runs", "mat", "2004")
TEXTS = ("t", "u")
words = st.lists(st.sampled_from(WORDS), max_size=5)
texts = st.fixed_dictionaries({}, optional={"t": words.map(" ".join), "u": words | st.just(3)})
metadata = st.tuples(plain, st.just({}) | texts).map(lambda both: both[0] | both[1])
INDICES = (0, 1, 2, 7, 2**31, 2**32 - 1)
sparse_values = st.dictionaries(st.sampled_from(INDICES), st.sampled_from([0.5, -1.0, 2.0, 3.0]), max_size=4)
wanted = st.sampled_from(
    [
        b'{"k": 1}',
        b'{"k": {"$ne": true}}',
        b'{"l": {"$in": ["1", 2]}}',
        b'{"k": {"$gt": 1}}',
        b'{"l": {"$exists": true}}',
    ]
)


IN_THE_LOG = ("log.", "commit.", "recovery.", "start.", "setup.", "identity.")
IN_THE_LOG += ("replica.", "cut.", "install.", "write-ids.", "rebuild.")
KEEPING = [name for name in failpoints.REGISTERED if not name.startswith(IN_THE_LOG)]
"""What maintenance comes by."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class ShardMachine(machines.OneShard):
    """The rules; `expected` is the dictionary."""

    tuning = TUNING

    @stateful.initialize(
        metric=st.sampled_from(config.Metric),
        engine=st.sampled_from(["hnsw", "hnsw", "hnsw", "flat", "hnswlib", "ivf"]).map(config.EngineKind),
        code=st.sampled_from(["none", "none", "sq8", "rabitq"]).map(config.QuantizationKind),
        steps=st.sampled_from([0, 3, 9, 9, 9]),
    )
    def begin(self, metric, engine, code, steps):
        hnsw = config.HnswParameters(m=2, ef_construction=8, ef_search=1)
        coded = config.Quantization(kind=code if engine is not config.EngineKind.HNSWLIB else "none")
        generation = config.Generation(
            dimensions=DIMENSIONS, metric=metric, engine=engine, hnsw=hnsw, quantization=coded
        )
        schema = config.Schema(text=TEXTS)
        self.expected: dict[tuple[str, str], tuple[bytes, bytes, dict[int, float]]] = {}
        self.move_in(config.IndexConfig(index="model", serving=generation, metadata=schema))
        numbers = np.random.default_rng(len(metric) + len(engine))
        for start in range(0, 40, 10):
            rows = {
                f"n{row}": (
                    numbers.integers(1, 9, (1, DIMENSIONS)).astype(np.float32),
                    {"k": row},
                    {row % 3: 0.5},
                )
                for row in range(start, start + 10)
            }
            self.put("", rows)
        self.maintain(steps)

    @stateful.rule(
        namespace=namespaces,
        rows=st.dictionaries(ids, st.tuples(vectors, metadata, sparse_values), min_size=1, max_size=24),
    )
    def upsert(self, namespace, rows):
        self.put(namespace, rows)

    def put(self, namespace, rows):
        columns = records.Rows(
            list(rows),
            np.concatenate([vector for vector, *_ in rows.values()]),
            [json.dumps(data).encode() if data else b"" for _, data, _ in rows.values()],
            sparse=column_of(*(pairs for *_, pairs in rows.values())),
        )
        assert self.write(operations.Upsert(namespace, columns)) == len(rows)
        for row_id, (vector, data, pairs) in rows.items():
            written = json.dumps(data).encode() if data else b""
            self.expected[namespace, row_id] = (vector.tobytes(), written, pairs)

    @stateful.rule(seed=st.integers(0, 10_000))
    def live(self, seed):
        """A piece of a busy life: writes between the steps of maintenance."""
        numbers = np.random.default_rng(seed)
        for _ in range(12):
            chosen = [f"n{row}" for row in numbers.choice(40, size=5, replace=False)]
            drawn = numbers.integers(1, 9, (5, 1, DIMENSIONS)).astype(np.float32)
            if numbers.random() < 0.5:
                written = {"k": 1, "t": " ".join(numbers.choice(WORDS, 3))}
                pairs = {int(numbers.choice(INDICES)): 2.0}
                self.put(
                    "",
                    {row_id: (vector, written, pairs) for row_id, vector in zip(chosen, drawn, strict=True)},
                )
            else:
                self.delete_ids("", chosen)
            self.maintain(int(numbers.integers(0, 3)))

    @stateful.rule(
        namespace=namespaces,
        row_id=ids,
        vector=st.none() | vectors,
        merge=metadata,
        pairs=st.none() | sparse_values,
    )
    def update(self, namespace, row_id, vector, merge, pairs):
        column = None if pairs is None else column_of(pairs)
        affected = self.write(operations.Update(namespace, row_id, vector, merge, sparse=column))
        assert affected == ((namespace, row_id) in self.expected)
        if affected:
            old_vector, old, old_pairs = self.expected[namespace, row_id]
            merged = old
            if merge:
                merged = json.dumps((json.loads(old) if old else {}) | merge, separators=(",", ":")).encode()
            new_vector = old_vector if vector is None else vector.tobytes()
            self.expected[namespace, row_id] = (new_vector, merged, old_pairs if pairs is None else pairs)

    @stateful.rule(namespace=namespaces, gone=st.lists(ids, unique=True, max_size=6))
    def delete(self, namespace, gone):
        self.delete_ids(namespace, gone)

    def delete_ids(self, namespace, gone):
        affected = self.write(operations.DeleteIds(namespace, gone))
        removed = [self.expected.pop((namespace, row_id), None) for row_id in gone]
        assert affected == sum(row is not None for row in removed)

    @stateful.rule(namespace=namespaces, source=wanted)
    def delete_matching(self, namespace, source):
        passing = self.passing(namespace, source)
        assert self.write(operations.DeleteMatching(namespace, filters.parse(source))) == len(passing)
        for row_id in passing:
            del self.expected[namespace, row_id]

    @stateful.rule(namespace=namespaces)
    def clear(self, namespace):
        rows = [key for key in self.expected if key[0] == namespace]
        assert self.write(records.Clear(namespace)) == len(rows)
        for key in rows:
            del self.expected[key]

    @stateful.rule(name=st.sampled_from(KEEPING), late=st.integers(0, 4), seed=st.integers(0, 10_000))
    def crash_while_keeping(self, name, late, seed):
        """Go on from the files as they are when a busy life comes by a failpoint."""
        left = [late]

        def end(reached):
            if reached == name:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed

        with mock.patch.object(failpoints, "reached", end), contextlib.suppress(Killed):
            self.live(seed)
        self.crash()

    @stateful.rule(source=wanted)
    def count_passing(self, source):
        counts = {name: len(self.passing(name, source)) for name in ("", "a", "é")}
        found = self.state.count(filters.parse(source))
        assert found == {name: count for name, count in counts.items() if count}

    @stateful.invariant()
    def rows_are_equal(self):
        for state in self.states:
            self.check_rows(state)

    def check_rows(self, state):
        counts: dict[str, int] = {}
        for namespace, _ in self.expected:
            counts[namespace] = counts.get(namespace, 0) + 1
        assert state.count(None) == counts
        for namespace in ("", "a", "é"):
            listed = state.list_ids(part.Page(namespace, "", "", 100))
            assert listed == sorted(row_id for owner, row_id in self.expected if owner == namespace)
            rows = state.take(state.locate(keys.keys_of(namespace, listed)), EVERYTHING)
            column = sparse.none(len(listed)) if rows.sparse is None else rows.sparse
            pairs = [dict(column.take(np.array([row])).items.tolist()) for row in range(len(listed))]
            found = zip(rows.ids, rows.vectors, rows.metadata, pairs, strict=True)
            assert {row_id: (vector.tobytes(), data, own) for row_id, vector, data, own in found} == {
                row_id: row for (owner, row_id), row in self.expected.items() if owner == namespace
            }

    @stateful.rule(
        namespace=namespaces,
        prefix=st.sampled_from(["", "a", "n", "n1", "z"]),
        after=st.just("") | ids,
        limit=st.integers(1, 4),
    )
    def list_page(self, namespace, prefix, after, limit):
        fitting = sorted(
            row_id
            for owner, row_id in self.expected
            if owner == namespace and row_id.startswith(prefix) and row_id > after
        )
        page = part.Page(namespace, prefix, after, limit)
        assert self.state.list_ids(page) == fitting[:limit]

    @stateful.rule(
        namespace=namespaces,
        query=vectors,
        k=st.sampled_from([1, 1, 2, 5, 50]),
        source=st.none() | wanted,
        exact=st.booleans(),
    )
    def search(self, namespace, query, k, source, exact):
        self.check_search(namespace, query, k, source, exact)

    @stateful.invariant()
    def graphs_answer(self):
        self.check_search("", np.ones((1, DIMENSIONS), np.float32), 1, None, False)

    @stateful.rule(
        namespace=namespaces,
        text=words.map(" ".join),
        k=st.sampled_from([1, 3, 50]),
        source=st.none() | wanted,
    )
    def search_text(self, namespace, text, k, source):
        self.check_text(namespace, text, k, source)

    @stateful.invariant()
    def texts_answer(self):
        self.check_text("", "red cats of 2004", 50, None)

    def check_text(self, namespace, text, k, source):
        """The oracle's rows that pass, in its order, with its scores; those that don't pass count in them."""
        state, chosen = self.state, filters.parse(source or b"")
        scores, place = text_search.search(state, text_search.Question(namespace, text, k, chosen))
        rows = {
            row_id: json.loads(data or b"{}")
            for (owner, row_id), (_, data, _) in self.expected.items()
            if owner == namespace
        }
        passing = set(self.passing(namespace, source))
        right = [one for one in bm25.ranked(rows, text, TEXTS) if one[0] in passing][:k]
        assert state.take(place, EVERYTHING).ids == [row_id for row_id, _ in right]
        np.testing.assert_allclose(scores, [score for _, score in right], rtol=1e-6)

    @stateful.rule(
        namespace=namespaces,
        query=vectors,
        asked=sparse_values.filter(any),
        k=st.sampled_from([1, 3, 50]),
        source=st.none() | wanted,
        exact=st.booleans(),
    )
    def search_sparse(self, namespace, query, asked, k, source, exact):
        self.check_sparse(namespace, query, asked, k, source, exact)

    @stateful.invariant()
    def sparse_values_answer(self):
        self.check_sparse("", np.ones((1, DIMENSIONS), np.float32), {0: 1.0, 7: 2.0}, 3, None, False)

    def check_sparse(self, namespace, query, asked, k, source, exact):
        """Right scores, best first, as many as there are; an exact search has the oracle's."""
        state = self.state
        if state.metric is not config.Metric.DOTPRODUCT:
            return
        term = questions.Term("", query, 1, late=False)
        vector = sparse.Vector(np.array(list(asked), np.uint32), np.array(list(asked.values())))
        depths, chosen = questions.depths_of(k, 0, 1, (term,)), filters.parse(source or b"")
        question = questions.Question(namespace, (term,), k, chosen, 1, depths, exact, vector)
        scores, place = parts_search.search(state, question)
        found, right = state.take(place, EVERYTHING).ids, {}
        for row_id in self.passing(namespace, source):
            values, _, pairs = self.expected[namespace, row_id]
            sparse_sum = sum(value * asked.get(index, 0) for index, value in pairs.items())
            right[row_id] = float(np.frombuffer(values, np.float32) @ query[0]) + sparse_sum
        assert len(found) == len(set(found)) == min(k, len(right))
        np.testing.assert_allclose(scores, [right[row_id] for row_id in found], rtol=1e-4, atol=1e-5)
        assert (np.diff(scores) <= 0).all()
        if exact:
            best = sorted(right.values(), reverse=True)[:k]
            np.testing.assert_allclose(scores, best, rtol=1e-4, atol=1e-5)

    def check_search(self, namespace, query, k, source, exact):
        """An exact search is the oracle's; any other returns passing rows with right scores, best first."""
        state = self.state
        chosen = filters.parse(source or b"")
        queries = state.comparable(query)
        [(scores, place)] = state.search(part.Question(namespace, queries, k, chosen, 1, exact))
        found = state.take(place, EVERYTHING).ids
        passing = self.passing(namespace, source)
        assert len(set(found)) == len(found)
        assert set(found) <= set(passing)
        every = np.array(
            [np.frombuffer(self.expected[namespace, row_id][0], np.float32) for row_id in passing]
        )
        every = state.comparable(every.reshape(len(passing), DIMENSIONS))
        oracle = flat.search(state.metric, every, queries, len(passing) or 1)
        right = {passing[row]: score for row, score in zip(oracle.rows[0], oracle.scores[0], strict=True)}
        np.testing.assert_allclose(scores, [right[row_id] for row_id in found], rtol=1e-5, atol=1e-6)
        signed = -scores if base.larger_is_better(state.metric) else scores
        assert (np.diff(signed) >= 0).all()
        if exact:
            np.testing.assert_allclose(scores, oracle.scores[0, :k], rtol=1e-5, atol=1e-6)

    def passing(self, namespace, source):
        rows = [row_id for owner, row_id in self.expected if owner == namespace]
        if source is None:
            return rows
        decoded = [json.loads(self.expected[namespace, row_id][1] or b"{}") for row_id in rows]
        return [
            row_id
            for row_id, passes in zip(rows, filters.mask(filters.parse(source), decoded), strict=True)
            if passes
        ]


ShardMachine.TestCase.settings = machines.settings(30)
TestShardModel = ShardMachine.TestCase
