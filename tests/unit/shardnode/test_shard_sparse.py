"""Sparse values: checked against a brute-force oracle, over growing and sealed segments alike."""

import json
import shutil
import struct

import numpy as np
import pydantic
import pytest
from fixtures import builders

from vectorfleet_shardnode import errors, filters, keys, operations, ragged, records, shape, sparse, storage
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.engines import base
from vectorfleet_shardnode.multivector import question as questions
from vectorfleet_shardnode.multivector import search
from vectorfleet_shardnode.segments import descriptor, growing_sparse, part, sparse_files
from vectorfleet_shardnode.settings import Tuning

DOT = config.Metric.DOTPRODUCT
SHAPE = shape.Shape(DOT, 4)
TUNING = Tuning(index_min_rows=50, settle_seconds=0, build_threads=1, reserved_bytes=0)
BOTH = part.Fields(values=True, metadata=True)
AWKWARD = (-0.0, 1e-45, 3.4e38, -1.0)
EDGES = (0, 2**32 - 1, 2**31, 7)


def column_of(*rows):
    """Return the column of rows that are dictionaries of index → value, in their order."""
    pairs = [pair for row in rows for pair in row.items()]
    indices = np.array([index for index, _ in pairs], np.uint32)
    items = sparse.pairs_of(indices, np.array([value for _, value in pairs], np.float32))
    return ragged.of_counts(np.array([len(row) for row in rows]), items)


def vector_of(values):
    """Return a dictionary as a sparse vector that is asked for."""
    return sparse.Vector(np.array(list(values), np.uint32), np.array(list(values.values()), np.float64))


def drawn(count, seed=1, *, negative=False):
    """Draw rows and their sparse values, of skewed dimensions; every fifth row has none."""
    numbers = np.random.default_rng(seed)
    held = []
    for row in range(count):
        indices = np.unique(np.minimum(numbers.zipf(1.5, 12), 2**32 - 1)) if row % 5 else []
        values = numbers.exponential(size=len(indices)) * (numbers.choice([-1, 1], len(indices)) ** negative)
        held.append(dict(zip(map(int, indices), values.astype(np.float32).tolist(), strict=True)))
    metadata = [b'{"n":%d}' % row for row in range(count)]
    vectors = numbers.normal(size=(count, 4)).astype(np.float32)
    ids = [f"r{row}" for row in range(count)]
    return records.Rows(ids, vectors, metadata, {}, column_of(*held)), held


def opened(folder, **serving):
    """Open the folder's shard."""
    generation = config.Generation.model_validate({"dimensions": 4, "metric": DOT} | serving)
    index = config.IndexConfig(index="shop", serving=generation)
    return storage.open_shard(index, 0, folder, TUNING, builders.Built)


def taken(rows, chosen):
    """Return some of the rows."""
    return records.Rows(
        [rows.ids[at] for at in chosen],
        rows.vectors[chosen],
        [rows.metadata[at] for at in chosen],
        {},
        rows.sparse.take(chosen),
    )


def shard_of(folder, rows, sealed, **serving):
    """Return a shard of these rows: sealed ones first, the others in memory."""
    served = opened(folder, **serving)
    for start, stop in ((0, sealed), (sealed, len(rows.ids))):
        if stop > start:
            chosen = np.arange(start, stop)
            served.shard.write(operations.Upsert("", taken(rows, chosen))).result(10)
            for _ in range(6 if start == 0 and sealed else 0):
                served.maintenance.step()
    return served


def ask(served, dense, asked, k=10, **changes):
    """Search; returns (id, score) pairs, best first."""
    terms = () if dense is None else (questions.Term("", np.array([dense], np.float32), 1, late=False),)
    depths = questions.depths_of(k, 0, 1, terms)
    given = {"namespace": "", "wanted": None, "ef": 100, "depths": depths, "exact": False} | changes
    state = served.shard.snapshot
    question = questions.Question(terms=terms, k=k, sparse_vector=vector_of(asked), **given)
    scores, place = search.search(state, question)
    return list(zip(state.take(place, part.Fields(False, False)).ids, scores.tolist(), strict=True))


def oracle(rows, held, dense, asked):
    """Return id → score, in float64; without a dense part of rows that have one of the indices."""
    found = {}
    for row_id, vector, own in zip(rows.ids, rows.vectors, held, strict=True):
        products = [own[index] * weight for index, weight in asked.items() if index in own]
        if dense is not None or sum(products):
            whole = 0 if dense is None else float(vector.astype(np.float64) @ np.array(dense, np.float64))
            found[row_id] = whole + sum(products)
    return found


def check(found, expected, k):
    """The k best of the oracle, with its scores."""
    best = sorted(expected.values(), reverse=True)[:k]
    np.testing.assert_allclose([score for _, score in found], best, rtol=1e-5, atol=1e-6)
    for row_id, score in found:
        np.testing.assert_allclose(score, expected[row_id], rtol=1e-5, atol=1e-6)


QUERY = {1: 0.7, 2: 1.5, 3: 0.2, 9: 2.0, 40: 3.0, 2**32 - 1: 1.0}


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
    served.shard.write(operations.Upsert("other", taken(rows, np.arange(5)))).result(10)
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


def pairs_of(served, *ids):
    """Return the bytes of each row's sparse values."""
    state = served.shard.snapshot
    rows = state.take(state.locate(keys.keys_of("", list(ids))), BOTH)
    assert rows.ids == list(ids)
    column = rows.sparse or sparse.none(len(ids))
    return [column.take(np.array([row])).items.tobytes() for row in range(len(ids))]


def reopened(served, tmp_path):
    """Return the shard of a copy of the folder as it is, as after a SIGKILL."""
    shutil.copytree(served.shard.folder, tmp_path / "copy")
    served.close()
    return opened(tmp_path / "copy")


def test_values_survive_bit_for_bit_in_the_order_they_came(tmp_path):
    """From the log, from a flushed segment, from a merged one, and through an update of something else."""
    rows, _ = drawn(60)
    served = shard_of(tmp_path / "first", rows, 0)
    held = column_of(dict(zip(EDGES, AWKWARD, strict=True)))
    awkward = records.Rows(["a"], np.ones((1, 4), np.float32), [b""], {}, held)
    served.shard.write(operations.Upsert("", awkward)).result(10)
    wanted = [held.items.tobytes(), *pairs_of(served, "r1", "r2", "r5")]
    assert [len(one) > 0 for one in wanted] == [True, True, True, False]
    served = reopened(served, tmp_path)
    assert pairs_of(served, "a", "r1", "r2", "r5") == wanted
    for _ in range(4):
        served.shard.write(operations.Update("", "a", None, {"more": 1})).result(10)
        served.shard.write(operations.DeleteIds("", ["r7"])).result(10)
        served.shard.freeze().result(10)
        for _ in range(4):
            served.maintenance.step()
        assert pairs_of(served, "a", "r1", "r2", "r5") == wanted
    assert served.shard.snapshot.sealed[0].segment.sparse is not None
    served.close()


def test_a_segment_without_sparse_rows_has_no_file_and_no_field(tmp_path):
    """So it costs nothing, and an older program reads it."""
    served = opened(tmp_path)
    plain = records.Rows(["a"], np.ones((1, 4), np.float32), [b""])
    served.shard.write(operations.Upsert("", plain)).result(10)
    served.shard.freeze().result(10)
    served.maintenance.step()
    [view] = served.shard.snapshot.sealed
    assert not [name for name in view.segment.descriptor.files if name.startswith("sparse")]
    assert "sparse_values" not in json.loads(view.segment.descriptor.model_dump_json())
    assert ask(served, [1, 0, 0, 0], {1: 1.0}) == [("a", 1.0)]
    served.close()


def described_of(rows, pairs):
    """Return the descriptor of a segment with so many sparse values."""
    recipe = descriptor.Recipe(metric=DOT, dimensions=4, engine="hnsw", hnsw=config.HnswParameters())
    return descriptor.Descriptor(
        recipe=recipe, rows=rows, sparse_values=pairs, first_seq=1, last_seq=1, files={}
    )


def test_an_older_program_refuses_the_segment_by_name():
    """It knows no field of this name, and would lose the values at its next merge."""
    known = {
        name: (field.annotation, field)
        for name, field in descriptor.Descriptor.model_fields.items()
        if name != "sparse_values"
    }
    older = pydantic.create_model("Older", __base__=descriptor.Model, **known)
    assert older.model_validate_json(described_of(1, 0).model_dump_json()).rows == 1
    with pytest.raises(pydantic.ValidationError, match="sparse_values"):
        older.model_validate_json(described_of(1, 3).model_dump_json())


def test_merges_of_many_pieces_are_the_same_bytes(tmp_path, monkeypatch):
    """However few pairs are read and sorted at a time."""
    rows, _ = drawn(300)
    numbers = np.random.default_rng(2)
    order = numbers.permutation(250)
    sources = [(rows.sparse, np.arange(200)), (None, np.arange(10)), (rows.sparse, np.arange(260, 300))]
    whole = tmp_path / "whole"
    whole.mkdir()
    pairs = sparse_files.write(whole, sources, order)
    described = described_of(250, pairs)
    found = sparse_files.open_files(whole, described)
    rows_of = np.concatenate([np.arange(200), np.full(10, -1), np.arange(260, 300)])[order]
    wanted = [rows.sparse.take(np.array([row])).items.tobytes() if row >= 0 else b"" for row in rows_of]
    assert [found.stored.take(np.array([row])).items.tobytes() for row in range(250)] == wanted
    made = sparse.postings_of(found.stored)
    for name in ("dimensions", "starts", "rows", "values"):
        np.testing.assert_array_equal(getattr(found.postings, name), getattr(made, name))
    monkeypatch.setattr(sparse_files, "_PIECE", 7)
    monkeypatch.setattr(sparse_files, "_SORTED", 11)
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    sparse_files.write(pieces, sources, order)
    for name in (sparse_files.ROWS, sparse_files.POSTINGS):
        assert (pieces / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("name", [sparse_files.ROWS, sparse_files.POSTINGS])
@pytest.mark.parametrize("broken", ["magic", "version", "cut", "offsets", "rows"])
def test_a_file_of_another_form_is_refused(tmp_path, name, broken):
    """Even where its checksum was right: each says which file."""
    rows, _ = drawn(20)
    pairs = sparse_files.write(tmp_path, [(rows.sparse, np.arange(20))], np.arange(20))
    described = described_of(21 if broken == "rows" else 20, pairs)
    data = bytearray((tmp_path / name).read_bytes())
    start = {sparse_files.ROWS: 32, sparse_files.POSTINGS: 40}[name]
    match broken:
        case "magic":
            data[0] = 0
        case "version":
            data[8] = 9
        case "cut":
            del data[-1]
        case "offsets":
            struct.pack_into("<Q", data, start, 1)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(errors.DataLossError, match="sparse"):
        sparse_files.open_files(tmp_path, described)


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


def put(ids, counts, pairs, **changes):
    """Return a request that writes rows with these sparse values."""
    values = np.array([value for _, value in pairs], "<f4").tobytes()
    indices = np.array([index for index, _ in pairs], "<u4").tobytes()
    given = {"counts": counts, "vectors": values, "indices": indices} | changes
    held = shard_pb2.VectorColumn(name=config.SPARSE, **given)
    rows = shard_pb2.Rows(ids=ids, vectors=np.ones((len(ids), 4), "<f4").tobytes(), fields=[held])
    return shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=rows))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (put(["a"], [1], [(1, np.nan)]), "sparse value 0 is NaN"),
        (put(["a"], [2], [(1, 1), (1, 2)]), "sparse index 1 comes twice"),
        (put(["a", "b"], [1], [(1, 1)]), "1 counts for 2 rows"),
        (put(["a"], [2], [(1, 1)]), "counts add up to 2"),
        (put(["a"], [1], [(1, 1)], indices=b"\0\0\0"), "3 bytes of indices"),
        (put(["a"], [2_049], [(index, 1) for index in range(2_049)]), "2049 sparse values; at most 2048"),
    ],
)
def test_what_is_no_sparse_vector_is_refused(request_, said):
    """With what would be right; nothing is written."""
    with pytest.raises(errors.BadRequestError, match=said):
        operations.parse(request_, SHAPE)


def test_other_metrics_refuse_sparse_values():
    """They have no meaning beside a cosine or a distance."""
    for metric in (config.Metric.COSINE, config.Metric.EUCLIDEAN):
        with pytest.raises(errors.BadRequestError, match="sparse values need the metric dotproduct"):
            operations.parse(put(["a"], [1], [(1, 1)]), shape.Shape(metric, 4))


def test_the_same_index_in_two_rows_is_no_repetition_and_the_last_of_an_id_counts():
    """Rows have their own indices."""
    parsed = operations.parse(put(["a", "b", "a"], [1, 1, 2], [(1, 1), (1, 2), (1, 3), (2, 4)]), SHAPE)
    assert parsed.rows.ids == ["a", "b"]
    assert parsed.rows.sparse.items["value"].tolist() == [3, 4, 2]


def test_an_update_changes_removes_or_keeps_sparse_values(tmp_path):
    """A count of 0 removes; what is not named stays."""
    served = opened(tmp_path)

    def update(*pairs, counts=None, **changes):
        held = put(["a"], counts or [len(pairs)], pairs).upsert.rows.fields
        sent = shard_pb2.Update(id="a", fields=held if pairs or counts else [], **changes)
        return served.shard.write(
            operations.parse(shard_pb2.WriteRequest(update=sent), served.shard.shape)
        ).result(10)

    served.shard.write(operations.parse(put(["a"], [1], [(5, 1)]), served.shard.shape)).result(10)
    update((9, 2), (3, 1))
    changed = column_of({9: 2, 3: 1}).items.tobytes()
    assert pairs_of(served, "a") == [changed]
    update(merge_metadata=b'{"k": 1}')
    assert pairs_of(served, "a") == [changed]
    update(counts=[0])
    assert pairs_of(served, "a") == [b""]
    served.close()


def asking(*pairs, weight=1.0, field=config.SPARSE):
    """Return a part of a query."""
    values = np.array([value for _, value in pairs], "<f4").tobytes()
    indices = np.array([index for index, _ in pairs], "<u4").tobytes()
    return shard_pb2.QueryPart(field=field, vectors=values, indices=indices, weight=weight)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([asking()], "0 sparse values; 1 to 2048"),
        ([asking((1, 1)), asking((2, 1))], "2 parts are of sparse values"),
        ([asking((1, 1), (1, 2))], "comes twice"),
        ([asking((1, np.inf))], "infinite"),
        ([asking((1, 1), weight=0)], "weight"),
        ([asking(*((index, 1) for index in range(2_049)))], "2049 sparse values"),
    ],
)
def test_a_query_that_is_none_is_refused(parts, said):
    """With what would be right."""
    with pytest.raises(errors.BadRequestError, match=said):
        questions.parse_sparse(parts, SHAPE)


def test_the_record_is_one_that_older_programs_refuse_and_reads_back():
    """Op 7, with fields or without; where no row has sparse values it is the op of before."""
    rows, _ = drawn(9)
    op, parts = records.encode(records.Put("ns", rows))
    assert op is records.Op.PUT_SPARSE
    read = records.decode(op, memoryview(b"".join(parts)))
    assert read.rows.sparse.items.tobytes() == rows.sparse.items.tobytes()
    assert read.rows.sparse.counts.tolist() == rows.sparse.counts.tolist()
    fields = {"title": ragged.of_counts(np.ones(9, np.int64), base.comparable(DOT, rows.vectors))}
    both = records.Put("ns", records.Rows(rows.ids, rows.vectors, rows.metadata, fields, rows.sparse))
    op, parts = records.encode(both)
    read = records.decode(op, memoryview(b"".join(parts)))
    assert read.rows.fields["title"].items.tobytes() == rows.vectors.tobytes()
    assert read.rows.sparse.items.tobytes() == rows.sparse.items.tobytes()
    bare = records.Rows(rows.ids, rows.vectors, rows.metadata, {}, sparse.none(9))
    assert records.encode(records.Put("ns", bare))[0] is records.Op.PUT


@pytest.mark.parametrize("cut", [1, 8, 40])
def test_a_record_that_is_cut_is_damage(cut):
    """Never read as fewer values."""
    rows, _ = drawn(9)
    op, parts = records.encode(records.Put("ns", rows))
    payload = b"".join(parts)
    for broken in (payload[:-cut], payload + bytes(cut)):
        with pytest.raises(errors.DataLossError):
            records.decode(op, memoryview(broken))
