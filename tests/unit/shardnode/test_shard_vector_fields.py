"""Vector fields from the request to the disk and back: what is refused, what survives, what updates keep."""

import json
import struct

import numpy as np
import pyarrow as pa
import pytest
from fixtures import builders

from vectorfleet_shardnode import errors, identity, keys, operations, ragged, records, shape, storage
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.log import high_water, log_files
from vectorfleet_shardnode.segments import offsets_file, part
from vectorfleet_shardnode.settings import Tuning

TITLE = config.VectorField(name="title", dimensions=3)
BODY = config.VectorField(name="body", dimensions=2, late_interaction=True)
SHAPE = shape.Shape(config.Metric.COSINE, 2, (TITLE, BODY))
TUNING = Tuning(index_min_rows=6, settle_seconds=0, build_threads=1, reserved_bytes=0)
BOTH = part.Fields(values=True, metadata=True)
AWKWARD = (-0.0, 1e-45, 3.4e14)


def index_of(*fields, metric=config.Metric.COSINE):
    """Return an index with these vector fields."""
    generation = config.Generation(dimensions=2, metric=metric, vectors=fields)
    return config.IndexConfig(index="shop", serving=generation)


def opened(folder, *fields, metric=config.Metric.COSINE):
    """Open the folder's shard."""
    return storage.open_shard(index_of(*fields, metric=metric), 0, folder, TUNING, builders.Built)


def column(name, counts, *vectors):
    """Return a column as a request has it."""
    return shard_pb2.VectorColumn(name=name, counts=counts, vectors=np.array(vectors, "<f4").tobytes())


def upsert(ids, *columns):
    """Return a request that writes rows with these columns."""
    vectors = np.ones((len(ids), 2), "<f4").tobytes()
    rows = shard_pb2.Rows(ids=ids, vectors=vectors, fields=columns)
    return shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=rows))


def write(served, request):
    """Write a request."""
    return served.shard.write(operations.parse(request, served.shard.shape)).result(10)


def fields_of(served, *ids):
    """Return field → a list of bytes for each row."""
    state = served.shard.snapshot
    rows = state.take(state.locate(keys.keys_of("", list(ids))), BOTH)
    assert rows.ids == list(ids)
    return {
        name: [found.take(np.array([row])).items.tobytes() for row in range(len(ids))]
        for name, found in rows.fields.items()
    }


def raw(*vectors):
    """Return vectors as bytes."""
    return np.array(vectors, "<f4").tobytes()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (column("summary", [1], (1, 2, 3)), 'no vector field "summary"; it has "title", "body"'),
        (column("title", [1], (1, 2)), 'field "title" has 3 dimensions; 8 bytes'),
        (column("title", [1, 1], (1, 2, 3), (1, 2, 3)), "2 counts for 1 rows"),
        (column("title", [2], (1, 2, 3), (1, 2, 3)), "no field of token vectors: send one"),
        (column("body", [2], (1, 2)), "came with 1 vectors; its counts add up to 2"),
        (column("body", [1_025], *[(1, 2)] * 1_025), "1025 vectors in field .*at most 1024"),
        (column("body", [2], (1, 2), (1, np.nan)), 'field "body": vector 1 holds NaN'),
        (column("body", [2], (1, 2), (0, 0)), 'field "body": vector 1 is all zeros'),
    ],
)
def test_what_a_field_can_not_hold_is_refused(bad, said):
    """Before anything is written, with what would be right."""
    with pytest.raises(errors.BadRequestError, match=said):
        operations.parse(upsert(["a"], bad), SHAPE)


def test_a_field_comes_once_and_a_write_is_bounded(monkeypatch):
    """Two columns of one name contradict each other; more bytes than the bound are refused."""
    twice = [column("title", [1], (1, 2, 3))] * 2
    with pytest.raises(errors.BadRequestError, match="comes twice"):
        operations.parse(upsert(["a"], *twice), SHAPE)
    monkeypatch.setattr(shape, "MAX_FIELD_BYTES", 11)
    with pytest.raises(errors.BadRequestError, match="have 12 bytes; at most 11"):
        operations.parse(upsert(["a"], twice[0]), SHAPE)


def test_a_repeated_id_keeps_its_last_fields():
    """The last row of an id counts, with its own vectors."""
    parsed = operations.parse(
        upsert(["a", "b", "a"], column("body", [1, 2, 2], *np.eye(2)[[0, 1, 1, 0, 0]])), SHAPE
    )
    assert parsed.rows.ids == ["a", "b"]
    assert parsed.rows.fields["body"].counts.tolist() == [2, 2]
    assert parsed.rows.fields["body"].items.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def lived(folder, metric=config.Metric.COSINE):
    """Return a shard whose rows are in a merged segment, in a flushed one and in memory."""
    served = opened(folder, TITLE, BODY, metric=metric)
    for start in (0, 5):
        ids = [f"n{number}" for number in range(start, start + 5)]
        bodies = column("body", [0, 1, 2, 3, 0], *[(number + 1, start + 1) for number in range(6)])
        write(served, upsert(ids, bodies, column("title", [0, 0, 0, 1, 1], AWKWARD, (start, 1, 2))))
        served.shard.freeze().result(10)
        served.maintenance.step()
    for _ in range(6):
        served.maintenance.step()
    assert len(served.shard.snapshot.sealed) == 1
    write(served, upsert(["n1", "new"], column("body", [2, 0], (7, 8), (9, 9))))
    served.shard.freeze().result(10)
    served.maintenance.step()
    write(served, upsert(["n6"], column("title", [1], (5, 5, 5))))
    return served


EXPECTED = {
    "body": [b"", raw((7, 8), (9, 9)), raw((4, 1), (5, 1), (6, 1)), b"", b"", raw((2, 6), (3, 6))],
    "title": [b"", b"", raw(AWKWARD), raw((0, 1, 2)), raw((5, 5, 5)), b""],
}
ASKED = ("n0", "n1", "n3", "n4", "n6", "n7")


@pytest.mark.parametrize("metric", [config.Metric.COSINE, config.Metric.DOTPRODUCT])
def test_fields_come_back_bit_for_bit(tmp_path, metric):
    """From memory, from files, from merged files, and after a restart."""
    served = lived(tmp_path, metric)
    assert fields_of(served, *ASKED) == EXPECTED
    served.close()
    served = opened(tmp_path, TITLE, BODY, metric=metric)
    assert fields_of(served, *ASKED) == EXPECTED
    served.close()


def test_an_update_changes_the_fields_it_names(tmp_path):
    """Others are kept; a count of 0 removes; values and metadata are kept as well."""
    served = opened(tmp_path, TITLE, BODY)
    write(served, upsert(["a"], column("title", [1], (1, 2, 3)), column("body", [2], (1, 2), (3, 4))))
    change = shard_pb2.Update(id="a", fields=[column("body", [1], (5, 6))])
    assert write(served, shard_pb2.WriteRequest(update=change)).affected == 1
    assert fields_of(served, "a") == {"title": [raw((1, 2, 3))], "body": [raw((5, 6))]}
    change = shard_pb2.Update(id="a", fields=[column("title", [0])], merge_metadata=b'{"k":1}')
    write(served, shard_pb2.WriteRequest(update=change))
    served.close()
    served = opened(tmp_path, TITLE, BODY)
    assert fields_of(served, "a") == {"title": [b""], "body": [raw((5, 6))]}
    state = served.shard.snapshot
    rows = state.take(state.locate(keys.keys_of("", ["a"])), BOTH)
    assert (rows.vectors.tolist(), rows.metadata) == ([[1, 1]], [b'{"k":1}'])
    served.close()


def test_rows_without_fields_are_logged_as_ever():
    """An older program reads the log of an index that has no vector fields."""
    rows = records.Rows(["a"], np.ones((1, 2), np.float32), [b""], {"body": ragged.none(1, 2)})
    assert records.encode(records.Put("", rows))[0] is records.Op.PUT


def test_a_torn_record_with_fields_is_cut(tmp_path):
    """At whatever byte the write was cut off, the rows before it are served."""
    served = opened(tmp_path, TITLE, BODY)
    write(served, upsert(["a"], column("body", [1], (1, 2))))
    [path] = log_files.paths(tmp_path / "log")
    whole = path.stat().st_size
    write(served, upsert(["b"], column("body", [2], (1, 2), (3, 4)), column("title", [1], (1, 2, 3))))
    served.close()
    content = path.read_bytes()
    end = content.rindex(b"VFR1")  # of the mark behind the record
    (path.parent / high_water.FILE_NAME).unlink()  # the record was never on the disk
    for cut in range(whole, end, 7):
        path.write_bytes(content[:cut])
        served = opened(tmp_path, TITLE, BODY)
        assert served.shard.snapshot.live_rows == 1
        assert fields_of(served, "a")["body"] == [raw((1, 2))]
        served.close()


def test_fields_belong_to_the_folder(tmp_path):
    """A folder is not served under other fields; their order in the configuration says nothing."""
    opened(tmp_path, TITLE, BODY).close()
    opened(tmp_path, BODY, TITLE).close()
    with pytest.raises(errors.WrongIdentityError, match=r"vectors .*stored"):
        opened(tmp_path, TITLE)
    with pytest.raises(errors.WrongIdentityError, match="none wanted"):
        opened(tmp_path)


def test_an_index_without_fields_has_the_folder_of_old(tmp_path):
    """Nothing of vector fields is written where there are none."""
    opened(tmp_path).close()
    assert b"vectors" not in (tmp_path / identity.FILE_NAME).read_bytes()


def test_a_growing_segment_counts_the_bytes_of_fields(tmp_path):
    """So that token matrices are sealed in time."""
    served = opened(tmp_path, TITLE, BODY)
    before = served.shard.snapshot.growing[0].segment.bytes
    write(served, upsert(["a"], column("body", [100], *[(1, 2)] * 100)))
    assert served.shard.snapshot.growing[0].segment.bytes - before >= 800
    served.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"VFLTOFX\0" + bytes(24), "is not an offsets file"),
        (b"VFLTOFF\0\2" + bytes(23), "has format 2; this program reads format 1"),
        (b"VFLTOFF\0\1" + bytes(7) + b"\1" + bytes(15), "1 rows need another size"),
        (b"VFLTOFF\0\1" + bytes(15) + b"\1" + bytes(7), "do not rise from 0"),
    ],
)
def test_offsets_that_are_none_are_damage(tmp_path, content, said):
    """Refused with the file's name."""
    path = tmp_path / "field-0-offsets.bin"
    path.write_bytes(content)
    with pytest.raises(errors.DataLossError, match=f"field-0-offsets.bin.*{said}"):
        offsets_file.read(path)


class Page:
    """Reads vector fields by docs/storage-format.md, with none of the shard node's code."""

    @staticmethod
    def of_log(data):
        """Return id → field → bytes of the puts with fields of a log file, and each one's plain part."""
        found, at = {}, 40
        while at < len(data):
            length, op = struct.unpack_from("<I", data, at + 4)[0], struct.unpack_from("<I", data, at + 24)[0]
            if op == 5:
                found |= Page.of_payload(data[at + 56 : at + 56 + length])
            at += 56 + length
        return found

    @staticmethod
    def of_payload(payload):
        at = 2 + struct.unpack_from("<H", payload)[0]
        [rows] = struct.unpack_from("<I", payload, at)
        lengths = struct.unpack_from(f"<{rows}H", payload, at + 4)
        at += 4 + 2 * rows
        ids = []
        for length in lengths:
            ids.append(payload[at : at + length].decode())
            at += length
        at += 4 * rows + sum(struct.unpack_from(f"<{rows}I", payload, at))
        at += 4 + 4 * rows * struct.unpack_from("<I", payload, at)[0]
        found = {row_id: {} for row_id in ids}
        [fields] = struct.unpack_from("<H", payload, at)
        at += 2
        for _ in range(fields):
            [length] = struct.unpack_from("<H", payload, at)
            name = payload[at + 2 : at + 2 + length].decode()
            at += 2 + length
            [dimensions] = struct.unpack_from("<I", payload, at)
            counts = struct.unpack_from(f"<{rows}I", payload, at + 4)
            at += 4 + 4 * rows
            for row_id, count in zip(ids, counts, strict=True):
                found[row_id][name] = payload[at : at + 4 * count * dimensions]
                at += 4 * count * dimensions
        assert at == len(payload)
        return found

    @staticmethod
    def of_segment(folder):
        """Return id → field → bytes."""
        described = json.loads((folder / "segment.json").read_bytes())
        ids = pa.ipc.open_file(folder / "columns.arrow").get_batch(0).column("id").to_pylist()
        found = {row_id: {} for row_id in ids}
        for number, field in enumerate(described["recipe"]["vectors"]):
            start = f"field-{number}-"
            if start + "offsets.bin" not in described["files"]:
                continue
            offsets = (folder / f"{start}offsets.bin").read_bytes()
            magic, version, zero, rows = struct.unpack_from("<8sIIQ", offsets)
            assert (magic, version, zero, rows) == (b"VFLTOFF\0", 1, 0, len(ids))
            bounds = struct.unpack_from(f"<{rows + 1}Q", offsets, 24)
            assert len(offsets) == 24 + 8 * (rows + 1)
            vectors = (folder / f"{start}vectors.bin").read_bytes()
            size = 4 * field["dimensions"]
            assert struct.unpack_from("<8sIIQ", vectors)[2:] == (field["dimensions"], bounds[-1])
            for row, row_id in enumerate(ids):
                found[row_id][field["name"]] = vectors[
                    4096 + size * bounds[row] : 4096 + size * bounds[row + 1]
                ]
        return found


def test_a_reader_written_from_the_page_reads_fields(tmp_path):
    """The page is right about the log's op 5 and about the files of a field."""
    served = lived(tmp_path)
    segments = sorted(view.segment.folder for view in served.shard.snapshot.sealed)
    served.close()
    found = {}
    for folder in segments:
        found |= Page.of_segment(folder)
    for path in log_files.paths(tmp_path / "log"):
        found |= Page.of_log(path.read_bytes())
    for name, wanted in EXPECTED.items():
        assert [found[row_id].get(name, b"") for row_id in ASKED] == wanted
