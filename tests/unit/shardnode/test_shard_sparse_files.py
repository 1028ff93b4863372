"""Sparse values on the disk: records and segments keep them bit for bit, or are refused."""

import json
import shutil
import struct

import numpy as np
import pydantic
import pytest
from fixtures.sparse_rows import DOT, ask, column_of, drawn, opened, pairs_of, shard_of

from vectorfleet_shardnode import errors, operations, ragged, records, sparse
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base
from vectorfleet_shardnode.segments import descriptor, sparse_files

AWKWARD = (-0.0, 1e-45, 3.4e38, -1.0)
EDGES = (0, 2**32 - 1, 2**31, 7)


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


def test_a_column_that_no_row_has_anything_in_is_none():
    """There is one way to say that rows have no sparse values, whatever they were read from."""
    rows, content = np.ones((2, 4), np.float32), [b"", b""]
    assert records.Rows(["a", "b"], rows, content, sparse=column_of({}, {})).sparse is None
    assert records.Rows(["a", "b"], rows, content, sparse=column_of({}, {7: 1.0})).sparse is not None


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
