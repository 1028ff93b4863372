"""The stored format: folders of every released version open, and a reader written from the page agrees.

`tests/fixtures/shard-v<N>` are folders as a stopped process of format N left them, see make_shard.py there.
The reader below knows docs/storage-format.md and none of the shard node's code.
"""

import hashlib
import json
import runpy
import shutil
import struct
from pathlib import Path

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest
import xxhash

from vectorfleet_shardnode import identity, log_format
from vectorfleet_shardnode.segments import descriptor, manifest, vectors_file

FIXTURES = Path(__file__).parents[2] / "fixtures"
STORED = sorted(FIXTURES.glob("shard-v*"), key=lambda folder: int(folder.name.removeprefix("shard-v")))
MADE = runpy.run_path(str(FIXTURES / "make_shard.py"))
U16, U32 = struct.Struct("<H"), struct.Struct("<I")


@pytest.fixture(params=STORED, ids=lambda folder: folder.name)
def stored(request):
    """A folder of each version."""
    return request.param


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder that this program has written just now."""
    folder = tmp_path_factory.mktemp("written")
    MADE["make"](folder)
    return folder


def last_rows(folder):
    """Return the rows that the folder must hold, and the seq."""
    states = json.loads((folder / "rows.json").read_text())
    seq = list(states)[-1]
    return states[seq], int(seq)


def rows_of(served):
    """Return the rows that are served, as JSON has them."""
    return json.loads(json.dumps(MADE["rows_of"](served)))


def test_a_folder_of_every_version_opens_with_every_row(stored, tmp_path):
    """Bit for bit; and it can be written to, compacted and opened again."""
    rows, seq = last_rows(stored)
    data = shutil.copytree(stored / "data", tmp_path / "data")
    served = MADE["open_folder"](data)
    assert (rows_of(served), served.shard.snapshot.seq) == (rows, seq)
    writer = MADE["Writer"](served, 9)
    writer.upsert("", "new", "a3")
    for _ in range(8):
        served.maintenance.step()
    served.close()
    served = MADE["open_folder"](data)
    assert rows_of(served) == json.loads(json.dumps(writer.states[seq + 1]))
    assert rows_of(served)["ünï"] == rows["ünï"]
    served.close()


def test_a_change_of_format_brings_a_fixture():
    """Where this fails a VERSION was raised. See "When the format changes" in docs/storage-format.md:

    keep every folder that is here, add the next one (python tests/fixtures/make_shard.py
    tests/fixtures/shard-v<N>), and make the program read all of them.
    """
    data = STORED[-1] / "data"
    content = json.loads((data / "manifest.json").read_bytes())["manifest"]
    [*_, newest] = sorted((data / "log").iterdir())
    [vectors, *_] = sorted(data.glob("segments/*/vectors.bin"))
    assert {
        "identity": json.loads((data / "identity.json").read_bytes())["version"],
        "log": U32.unpack_from(newest.read_bytes(), 8)[0],
        "manifest": content["version"],
        "segment": content["segments"][0]["described"]["version"],
        "vectors": U32.unpack_from(vectors.read_bytes(), 8)[0],
    } == {
        "identity": identity.VERSION,
        "log": log_format.VERSION,
        "manifest": manifest.VERSION,
        "segment": descriptor.VERSION,
        "vectors": vectors_file.VERSION,
    }


def test_no_file_or_field_of_the_newest_fixture_has_gone(written):
    """A file or a JSON field that goes is a change of format, and needs a version of its own."""
    assert missing(shape_of(STORED[-1] / "data"), shape_of(written / "data")) == []


def missing(expected, found, path=""):
    """Return the paths of what is expected and not found."""
    if isinstance(expected, dict):
        inner = found if isinstance(found, dict) else {}
        return [
            gone
            for name, value in expected.items()
            for gone in (
                missing(value, inner[name], f"{path}/{name}") if name in inner else [f"{path}/{name}"]
            )
        ]
    if isinstance(expected, list):
        pairs = zip(expected, found, strict=True)
        return [gone for left, right in pairs for gone in missing(left, right, path)]
    return [] if expected == found else [path]


def shape_of(data):
    """Return the folder's files with the names of their JSON fields or Arrow columns."""
    shape = {}
    for path in data.rglob("*"):
        if path.suffix == ".json":
            shape[str(path.relative_to(data))] = fields_of(json.loads(path.read_bytes()))
        elif path.suffix == ".arrow":
            shape[str(path.relative_to(data))] = str(pa.ipc.open_file(path).schema)
        elif path.is_file():
            shape[str(path.relative_to(data))] = None
    return shape


def fields_of(value):
    """Return the nested names of a JSON value's fields."""
    if isinstance(value, dict):
        return {name: fields_of(inner) for name, inner in value.items()}
    return [fields_of(inner) for inner in value] if isinstance(value, list) else None


def test_a_reader_written_from_the_page_reads_every_version(stored):
    """The newest page describes the newest format; older fixtures are of formats that it still covers."""
    assert Reader(stored / "data").rows == last_rows(stored)[0]


def test_a_reader_written_from_the_page_reads_what_is_written_now(written):
    """So the page is right about this program."""
    assert Reader(written / "data").rows == last_rows(written)[0]


class Reader:
    """Reads a folder's rows by docs/storage-format.md, checking each checksum."""

    def __init__(self, data):
        self.data = data
        self.rows = {"": {}, "ünï": {}}
        self.identity = json.loads((data / "identity.json").read_bytes())
        stored = json.loads((data / "manifest.json").read_bytes())
        listed = stored["manifest"]
        canonical = json.dumps(listed, sort_keys=True, separators=(",", ":")).encode()
        assert stored["sha256"] == hashlib.sha256(canonical).hexdigest()
        assert listed["uid"] == self.identity["uid"]
        for segment in listed["segments"]:
            self.read_segment(data / "segments" / segment["name"], segment)
        self.seq = 0
        for path in sorted((data / "log").glob("*.log")):
            self.read_log(path, listed["covered_seq"])
        assert self.seq >= listed["durable_seq"]

    def read_segment(self, folder, segment):
        described, tombstones = segment["described"], segment["tombstones"]
        assert described == json.loads((folder / "segment.json").read_bytes())
        sums = dict(described["files"])
        if tombstones:
            sums[tombstones["file"]] = tombstones["content"]
        for name, wanted in sums.items():
            content = (folder / name).read_bytes()
            assert wanted == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        count = described["rows"]
        columns = pa.ipc.open_file(folder / "columns.arrow").get_batch(0).to_pydict()
        self.check_order_and_hashes(columns)
        vectors = self.read_vectors(folder / "vectors.bin", count)
        lengths = np.linalg.norm(self.read_vectors(folder / "comparable.bin", count), axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-6)
        dead = set()
        if tombstones:
            bits = (folder / tombstones["file"]).read_bytes()
            assert len(bits) == (count + 7) // 8
            dead = {row for row in range(count) if bits[row // 8] >> row % 8 & 1}
            assert len(dead) == tombstones["dead"]
        for row in set(range(count)) - dead:
            content = (vectors[row].tobytes().hex(), columns["metadata"][row].decode())
            self.rows[columns["namespace"][row]][columns["id"][row]] = list(content)

    @staticmethod
    def check_order_and_hashes(columns):
        pairs = list(zip(columns["namespace"], columns["id"], strict=True))
        assert pairs == sorted(pairs)
        hashes = [xxhash.xxh3_64_intdigest(f"{space}\0{row_id}".encode()) for space, row_id in pairs]
        assert columns["sorted_hash"] == sorted(hashes)
        assert [hashes[row] for row in columns["sorted_row"]] == columns["sorted_hash"]

    @staticmethod
    def read_vectors(path, count):
        content = path.read_bytes()
        assert struct.unpack_from("<8sIIQ", content) == (b"VFLTVEC\0", 1, 4, count)
        assert not any(content[24:4096])
        return np.frombuffer(content, "<f4", offset=4096).reshape(count, 4)

    def read_log(self, path, covered):
        data = path.read_bytes()
        magic, version, salt, first_seq, owner, crc = struct.unpack_from("<8sIIQII", data)
        assert (magic, version, first_seq) == (b"VFLTLOG\0", 1, int(path.stem))
        assert crc == google_crc32c.value(data[:28])
        assert owner == google_crc32c.value(self.identity["uid"].encode())
        at = 32
        while at < len(data):
            magic, length, epoch, seq, op, crc, head = struct.unpack_from("<4sIQQIII", data, at)
            payload = data[at + 36 : at + 36 + length]
            assert (magic, epoch) == (b"VFR1", 1)
            assert head == google_crc32c.extend(salt, data[at : at + 32])
            assert crc == google_crc32c.extend(salt, payload)
            at += 36 + length
            if op in (1, 2, 3):
                self.seq = seq
            if seq > covered:
                self.apply(op, payload)

    def apply(self, op, payload):
        if op not in (1, 2, 3):
            assert not payload
            return
        [length] = U16.unpack_from(payload)
        namespace, at = payload[2 : 2 + length].decode(), 2 + length
        if op == 3:
            self.rows[namespace] = {}
            return
        ids, at = self.pieces(payload, at + 4, U32.unpack_from(payload, at)[0], "H")
        for row_id in ids:
            self.rows[namespace].pop(row_id.decode(), None)
        if op == 2:
            assert at == len(payload)
            return
        metadata, at = self.pieces(payload, at, len(ids), "I")
        [dimensions] = U32.unpack_from(payload, at)
        assert len(payload) == at + 4 + len(ids) * dimensions * 4
        for number, (row_id, content) in enumerate(zip(ids, metadata, strict=True)):
            start = at + 4 + number * dimensions * 4
            vector = payload[start : start + dimensions * 4].hex()
            self.rows[namespace][row_id.decode()] = [vector, content.decode()]

    @staticmethod
    def pieces(payload, at, count, letter):
        """Return pieces whose lengths stand at an offset, and the offset behind them."""
        lengths = struct.unpack_from(f"<{count}{letter}", payload, at)
        at += struct.calcsize(f"<{count}{letter}")
        found = []
        for length in lengths:
            found.append(payload[at : at + length])
            at += length
        return found, at
