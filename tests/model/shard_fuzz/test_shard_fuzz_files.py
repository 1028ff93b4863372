"""Whatever bytes stand in files of segments, manifest and identity: read as they were written, or damage."""

import json
import struct
from pathlib import Path
from unittest import mock

import hypothesis
import numpy as np
import pytest
from fuzzing.inputs import DEEP, ask, changed, fuzz, json_values, rubbish
from hypothesis import strategies as st

from vectorfleet_shardnode import (
    checked_json,
    errors,
    identity,
    ragged,
    sparse,
)
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.segments import descriptor, manifest, offsets_file, sparse_files, vectors_file

pytestmark = pytest.mark.timeout(60)  # no input may keep a parser busy


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
