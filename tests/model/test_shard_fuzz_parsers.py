"""Whatever bytes stand in a shard's files or in a filter: the parsers answer, or refuse in their own words.

Where a format has checksums, they are made right for some of the inputs, so that what lies behind is reached.
"""

import dataclasses
import json
import struct
from pathlib import Path
from unittest import mock

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from vectorfleet_shardnode import (
    checked_json,
    errors,
    files,
    filters,
    identity,
    log_files,
    log_format,
    operations,
    ragged,
    records,
    recovery,
    sparse,
    storage,
)
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.segments import descriptor, manifest, offsets_file, sparse_files, vectors_file
from vectorfleet_shardnode.settings import Tuning

fuzz = hypothesis.settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
pytestmark = pytest.mark.timeout(60)  # no input may keep a parser busy

SALT = 0x5A17
texts = st.text(max_size=6) | st.sampled_from(["\0", "ö" * 400, "$and", "$eq"])
numbers = st.integers(-(2**70), 2**70) | st.floats()
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
documents = json_values.map(lambda value: json.dumps(value).encode())
rubbish = st.binary(max_size=200) | documents
DEEP = [b"[" * 100_000, b'{"a":' * 100_000, b'{"manifest":' + b"[" * 900 + b"]" * 900 + b',"sha256":""}']

shapes = st.tuples(st.integers(0, 4), st.sampled_from([3, 3, 3, 0, 2]))
vectors = shapes.map(lambda shape: np.ones(shape, np.float32))
puts = st.builds(
    lambda namespace, matrix, data: records.Put(
        namespace,
        records.Rows([f"é{row}" for row in range(len(matrix))], matrix, [data] * len(matrix)),
    ),
    texts,
    vectors,
    rubbish | st.just(b""),
)
ragged_columns = st.lists(st.integers(0, 3), min_size=4, max_size=4).map(
    lambda counts: ragged.of_counts(np.array(counts, np.int64), np.ones((sum(counts), 2), np.float32))
)
puts_with_fields = st.builds(
    lambda namespace, columns: records.Put(
        namespace,
        records.Rows(
            [f"{row}" for row in range(4)],
            np.ones((4, 3), np.float32),
            [b""] * 4,
            columns,
        ),
    ),
    texts,
    st.dictionaries(texts, ragged_columns, max_size=3),
)
sparse_columns = st.lists(st.integers(0, 3), min_size=4, max_size=4).map(
    lambda counts: ragged.of_counts(
        np.array(counts, np.int64), sparse.pairs_of(np.arange(sum(counts)), np.ones(sum(counts)))
    )
)
puts_with_sparse_values = st.builds(
    lambda put, column: records.Put(put.namespace, dataclasses.replace(put.rows, sparse=column)),
    puts_with_fields,
    sparse_columns,
)
removes = st.builds(records.Remove, texts, st.lists(texts, max_size=5))
every_record = puts | puts_with_fields | puts_with_sparse_values | removes | st.builds(records.Clear, texts)


@st.composite
def changed(draw, content):
    """Draw a change of some bytes: flipped, cut, put in, or said twice."""
    whole = draw(content)
    at, end = sorted((draw(st.integers(0, len(whole))), draw(st.integers(0, len(whole)))))
    match draw(st.sampled_from(["flip", "cut", "insert", "repeat", "end"])):
        case "flip" if at < len(whole):
            return whole[:at] + bytes([whole[at] ^ 1 << draw(st.integers(0, 7))]) + whole[at + 1 :]
        case "cut":
            return whole[:at] + whole[end:]
        case "insert":
            return whole[:at] + draw(st.binary(max_size=50)) + whole[at:]
        case "repeat":
            return whole[:end] + whole[at:end] + whole[end:]
    return whole[:at]


def log_of(entries):
    """Return the bytes of a log file; entries are (op, seq, payload)."""
    parts = [log_format.pack_header(log_format.Header(SALT, 1, 0))]
    for op, seq, payload in entries:
        parts += [log_format.pack_record(SALT, seq, log_format.Head(1, op), [payload]), payload]
    return b"".join(parts)


def sound_log(written):
    """Return the bytes of a log in which each record was acknowledged, as the log writes it."""
    entries = []
    for seq, record in enumerate(written, 1):
        op, payload = records.encode(record)
        entries += [(op, seq, b"".join(payload)), (records.Op.MARK, seq, seq.to_bytes(8, "little"))]
    return log_of(entries)


def ask(error, function, *arguments):
    """Call; returns the answer, or None and what was refused with this error."""
    try:
        return function(*arguments), ""
    except error as refusal:
        said = str(refusal)
    assert said.encode(), "a refusal can be sent as UTF-8"
    return None, said


def recover(folder, content):
    """Recover a log of one file; returns what was replayed, as bytes; None where it is refused."""
    path = log_files.path_of(folder, 1)
    path.write_bytes(content)
    seen = []

    def apply(place, record):
        seen.append((place.seq, raw(record)))

    found, refusal = ask(errors.DataLossError, recovery.recover, folder, recovery.Expected(), apply)
    assert found or path.name in refusal
    return seen if found else None


def raw(record):
    """Return a record's op and payload."""
    op, payload = records.encode(record)
    return op, b"".join(payload)


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """Fsyncs are no part of parsing."""
    monkeypatch.setattr(files, "fsync", lambda _: None)


@fuzz
@hypothesis.given(st.binary(max_size=80))
def test_any_bytes_are_a_log_file_or_damage(tmp_path, content):
    """Nothing but the package's own error comes out of a log file's bytes."""
    for header in (b"", log_of([])):
        assert recover(tmp_path, header + content) in (None, [])


@fuzz
@hypothesis.given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1) | st.integers(0, 5), st.integers(0, 4), rubbish), max_size=4)
)
def test_records_whose_checksums_are_right_all_the_same(tmp_path, entries):
    """Any op, seq and payload behind right checksums: replayed in order, or refused with the file's name."""
    seen = recover(tmp_path, log_of(entries)) or []
    assert [seq for seq, _ in seen] == list(range(1, len(seen) + 1))


@fuzz
@hypothesis.given(
    st.lists(every_record, min_size=1, max_size=4).flatmap(
        lambda written: st.tuples(st.just(written), changed(st.just(sound_log(written))))
    )
)
def test_a_changed_log_never_gives_other_records(tmp_path, case):
    """What is replayed is what was written, from its start on; less of it only where the end went missing."""
    written, content = case
    whole = [(seq, raw(record)) for seq, record in enumerate(written, 1)]
    seen = recover(tmp_path, content)
    if seen is None:
        return
    assert seen == whole[: len(seen)]
    last_mark = log_of([(records.Op.MARK, len(written), len(written).to_bytes(8, "little"))])[
        log_format.HEADER_BYTES :
    ]
    assert len(seen) == len(written) or not content.endswith(last_mark)


@pytest.mark.parametrize("piece", [b"VFR1", b"VFR1" + b"\xff" * 32, bytes(36)])
def test_a_long_tail_of_rubbish_is_looked_through_once(tmp_path, piece):
    """A megabyte that looks like records all over is a torn tail like another."""
    content = sound_log([records.Clear("a")]) + piece * ((1 << 20) // len(piece))
    assert [seq for seq, _ in recover(tmp_path, content)] == [1]


@fuzz
@hypothesis.given(
    st.sampled_from(records.Op), rubbish | changed(every_record.map(lambda record: raw(record)[1]))
)
def test_any_payload_is_a_record_or_damage(op, payload):
    """What is decoded says the same when it is encoded again."""
    record, _ = ask(errors.DataLossError, records.decode, op, memoryview(payload))
    assert record is None or raw(record) == (op, payload)


@fuzz
@hypothesis.given(every_record)
def test_every_record_survives_its_bytes(record):
    """Encoded, decoded and encoded again, it is the same."""
    op, payload = raw(record)
    assert raw(records.decode(op, memoryview(payload))) == (op, payload)


class Shelf:
    """A manifest whose leaves can be replaced."""

    recipe = descriptor.Recipe(metric="cosine", dimensions=3, engine="flat", hnsw=config.HnswParameters(m=4))
    sums = descriptor.FileSum(bytes=3, sha256="ab")
    described = descriptor.Descriptor(recipe=recipe, rows=3, first_seq=1, last_seq=2, files={"a": sums})
    tombstones = manifest.Tombstones(file="dead-1-1.bits", content=sums, dead=1)
    listed = manifest.Listed(name="1", described=described, tombstones=tombstones)
    stored = manifest.Manifest(uid="u", covered_seq=2, segments=(listed,)).model_dump(mode="json")


def paths_in(value, path=()):
    """Return the path of each value within a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for name, part in inner for found in paths_in(part, (*path, name)))]


def replaced(value, path, by):
    """Return a JSON value with another one at a path."""
    if not path:
        return by
    copied = value.copy()
    copied[path[0]] = replaced(value[path[0]], path[1:], by)
    return copied


def read_manifest(folder, content):
    """Read these bytes as a manifest; None where they are refused as damage that names the file."""
    path = Path(folder) / manifest.FILE_NAME
    path.write_bytes(content)
    found, refusal = ask(errors.DataLossError, manifest.read, folder, "u")
    assert found or str(path) in refusal
    return found


@fuzz
@hypothesis.given(rubbish)
@hypothesis.example(DEEP[0])
@hypothesis.example(DEEP[1])
@hypothesis.example(DEEP[2])
def test_any_bytes_are_no_manifest(tmp_path, content):
    """Refused, each time."""
    assert read_manifest(tmp_path, content) is None


@fuzz
@hypothesis.given(st.sampled_from(paths_in(Shelf.stored)), json_values)
def test_a_manifest_of_other_fields_with_the_right_checksum(tmp_path, path, value):
    """Whatever one field of it is replaced by: it is read as a manifest, or refused."""
    body = replaced(Shelf.stored, path, value)
    stored = {"manifest": body, "sha256": checked_json.digest_of(body)}
    found = read_manifest(tmp_path, json.dumps(stored).encode())
    assert found is None or isinstance(found, manifest.Manifest)
    assert found is None or found.uid == "u"


@fuzz
@hypothesis.given(
    changed(
        st.just(
            json.dumps({"manifest": Shelf.stored, "sha256": checked_json.digest_of(Shelf.stored)}).encode()
        )
    )
)
def test_a_changed_manifest_never_says_something_else(tmp_path, content):
    """It says what was written, or is refused."""
    found = read_manifest(tmp_path, content)
    assert found is None or found.model_dump(mode="json") == Shelf.stored


@fuzz
@hypothesis.given(
    rubbish
    | st.dictionaries(st.sampled_from([*identity.Stored.model_fields, "x"]), json_values).map(
        lambda value: json.dumps(value).encode()
    )
)
@hypothesis.example(DEEP[0])
@hypothesis.example(DEEP[1])
def test_any_bytes_are_no_identity_of_this_index(tmp_path, content):
    """Refused as damaged or as somebody else's."""
    (tmp_path / identity.FILE_NAME).write_bytes(content)
    wanted = identity.Identity(index="a", generation="g1", shard=0, dimensions=3, metric="cosine")
    with pytest.raises(errors.ShardError, match=r"identity\.json"):
        identity.check(tmp_path, wanted)


@fuzz
@hypothesis.given(st.binary(max_size=60), st.integers(0, 5000))
def test_any_bytes_are_no_vectors_file(tmp_path, content, zeros):
    """Nor are they with the right start."""
    path = tmp_path / "vectors.bin"
    for start in (b"", b"VFLTVEC\0" + struct.pack("<IIQ", 1, 3, 2**40)):
        path.write_bytes(start + content + bytes(zeros))
        with pytest.raises(errors.DataLossError, match=r"vectors\.bin"):
            vectors_file.VectorsFile(path)


@fuzz
@hypothesis.given(st.binary(max_size=60), st.integers(0, 5))
def test_any_bytes_are_an_offsets_file_or_damage(tmp_path, content, rows):
    """What is read rises from 0, one more than rows; everything else is refused by name."""
    path = tmp_path / "offsets.bin"
    for start in (b"", b"VFLTOFF\0" + struct.pack("<IIQ", 1, 0, rows) + bytes(8)):
        path.write_bytes(start + content)
        found, refusal = ask(errors.DataLossError, offsets_file.read, path)
        assert path.name in refusal or (np.diff(found) >= 0).all()
        assert path.name in refusal or (len(found), found[0]) == (rows + 1, 0)


@fuzz
@hypothesis.given(st.binary(max_size=80), st.integers(0, 3), st.integers(0, 3), st.integers(1, 3))
def test_any_bytes_are_sparse_values_or_damage(tmp_path, content, rows, dimensions, pairs):
    """What is read fits the segment; everything else is refused by name."""
    column = ragged.of_counts(np.array([pairs]), sparse.pairs_of(np.arange(pairs), np.ones(pairs)))
    sparse_files.write(tmp_path, [(column, np.arange(1))], np.arange(1))
    sound = {path: path.read_bytes() for path in tmp_path.iterdir()}
    described = mock.Mock(rows=1, sparse_values=pairs)
    for path, whole in sound.items():
        starts = [b"", whole[:16], whole[:16] + struct.pack("<QQQ", rows, dimensions, pairs), whole[:-8]]
        for start in starts:
            path.write_bytes(start + content)
            found, refusal = ask(errors.DataLossError, sparse_files.open_files, tmp_path, described)
            assert "sparse" in refusal or len(found.stored.items) == len(found.postings.rows) == pairs
        path.write_bytes(whole)


operands = json_values | st.lists(st.integers() | texts | st.booleans(), max_size=4)
conditions = st.dictionaries(st.sampled_from([*filters.Operator, "$no"]), operands, max_size=2)
trees = st.recursive(
    st.dictionaries(texts | st.just("a"), conditions | operands, max_size=2),
    lambda inner: st.fixed_dictionaries({}, optional={"$and": st.lists(inner), "$or": st.lists(inner)}),
    max_leaves=8,
)


@fuzz
@hypothesis.given(
    rubbish | trees.map(lambda tree: json.dumps(tree).encode()), st.lists(json_values, max_size=3)
)
@hypothesis.example(DEEP[0], [])
@hypothesis.example(DEEP[1], [])
@hypothesis.example(b'{"a": {"$in": [' + b"1e400," * 9 + b"1]}}", [])
def test_any_bytes_are_a_filter_or_refused(source, fields):
    """A filter gives one answer for each row whatever its metadata is; a refusal can be sent as UTF-8."""
    rows = [{"a": value, "\0": value} for value in fields]
    parsed, _ = ask(errors.BadFilterError, filters.parse, source)
    assert parsed is None or filters.mask(parsed, [*rows, {}, None]).shape == (len(rows) + 2,)


@fuzz
@hypothesis.given(rubbish)
@hypothesis.example(DEEP[1])
def test_any_bytes_are_metadata_or_refused(content):
    """What passes is an object."""
    found, refusal = ask(errors.BadRequestError, operations.decode_metadata, content, "a")
    assert refusal or isinstance(found, dict)


@hypothesis.settings(fuzz, max_examples=60)
@hypothesis.given(st.lists(every_record | st.binary(max_size=30), max_size=3))
def test_a_log_of_any_content_opens_or_is_damage(tmp_path_factory, written):
    """Records in good order whose rows are not of this index, or hold no JSON, are refused as damage."""
    folder = tmp_path_factory.mktemp("shard") / "data"
    index = config.IndexConfig(index="a", serving=config.Generation(dimensions=3))
    tuning = Tuning(reserved_bytes=0)
    storage.open_shard(index, 0, folder, tuning).close()
    [path] = log_files.paths(folder / "log")
    header = log_format.unpack_header(path.read_bytes())
    for seq, record in enumerate(written, 1):
        op, payload = (records.Op.PUT, record) if isinstance(record, bytes) else raw(record)
        added = log_format.pack_record(header.salt, seq, log_format.Head(1, op), [payload]) + payload
        path.write_bytes(path.read_bytes() + added)
    opened, refusal = ask(errors.DataLossError, storage.open_shard, index, 0, folder, tuning)
    assert opened or path.name in refusal
    if opened:
        assert opened.shard.snapshot.seq == len(written)
        opened.close()
