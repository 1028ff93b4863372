"""Damaged folders: a start serves all that was acknowledged, or refuses, names the file and changes nothing.

One limit is stated in docs/storage-format.md and held here too: where the newest log file ends early and the
high-water mark is gone, what stood behind its end can't be known of, so the rows are those of an earlier seq.
"""

import hashlib
import json
import os
import random
import shutil
from pathlib import Path

import google_crc32c
import pytest
from fixtures import folders, lives

from vectorfleet_shardnode import errors
from vectorfleet_shardnode.log import log_files, log_format
from vectorfleet_shardnode.segments import descriptor, manifest, sealed

PLAIN = lives.KINDS["plain"].setting
FILES = (
    "identity.json",
    "manifest.json",
    "log/00000000000000000005.log",
    "log/00000000000000000007.log",
    "log/high-water",
    *(f"segments/000000000002/{name}" for name in ("columns.arrow", "vectors.bin", "comparable.bin")),
    "segments/000000000002/graph.faiss",
    "segments/000000000002/segment.json",
    "segments/000000000002/dead-00000000000000000004-2.bits",
    *(f"segments/000000000003/{name}" for name in ("columns.arrow", "vectors.bin", "comparable.bin")),
    "segments/000000000003/segment.json",
)
NEWEST_LOG, HIGH_WATER = FILES[3:5]
SPARED = ("segment.json", HIGH_WATER)
"""Where these are missing or torn, a start does without."""
FLIPS = 40


@pytest.fixture(autouse=True, scope="module")
def no_disk():
    """What is read was damaged on purpose, so nothing has to reach the disk here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A folder in good order, of seed 1."""
    folder = tmp_path_factory.mktemp("original")
    lives.make(folder)
    return folder


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """The folder of another index, which has led the same life with other vectors."""
    folder = tmp_path_factory.mktemp("foreign")
    lives.make(folder, name="another", seed=2)
    return folder


@pytest.fixture(scope="module")
def states(original):
    """The rows after each seq."""
    return json.loads((original / "rows.json").read_text())


@pytest.fixture
def data(original, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(original / "data", tmp_path / "data"))


def digests(folder):
    """Return the content of every file but the lock, which every start takes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def open_and_read(folder):
    """Return the rows and the seq that a start serves, as JSON has them."""
    served = folders.open_folder(folder, PLAIN)
    try:
        return json.loads(json.dumps(folders.rows_of(served, PLAIN))), served.shard.snapshot.seq
    finally:
        served.close()


def attempt(folder, named):
    """Open; returns the refusal, which names what is damaged, or else the rows and the seq."""
    before = digests(folder)
    try:
        return "", *open_and_read(folder)
    except (errors.DataLossError, errors.WrongIdentityError) as refusal:
        said = str(refusal)
    assert digests(folder) == before, "a folder that is refused stays as it is"
    assert Path(named).name in said
    return said, None, None


def check(folder, named, states):
    """Open; returns the refusal, empty where everything was served."""
    refusal, rows, _ = attempt(folder, named)
    assert refusal or rows == list(states.values())[-1]
    return refusal


def test_the_folder_holds_every_kind_of_file(original, states):
    """The list of this page is complete, and the folder opens with all of its rows."""
    assert set(digests(original / "data")) == set(FILES)
    assert list(map(int, states)) == list(range(1, 14))


@pytest.mark.parametrize("name", FILES)
def test_r06_a_missing_file(data, name, states):
    """Only what nobody reads again may be missing."""
    (data / name).unlink()
    told = {"manifest.json": "log records 1 to 4 are missing", FILES[2]: "log records 5 to 6 are missing"}
    told["identity.json"] = "holds segments but no identity.json"
    assert (check(data, told.get(name, name), states) == "") == name.endswith(SPARED)


@pytest.mark.parametrize("name", ["log", "segments", "segments/000000000002"])
def test_a_missing_folder(data, name, states):
    """A folder that went missing is never made anew over its data."""
    shutil.rmtree(data / name)
    assert check(data, name if name != "segments" else "000000000002", states)


@pytest.mark.parametrize("name", sorted(set(FILES) - {NEWEST_LOG}))
def test_r06_a_truncated_file(data, name, states):
    """Empty, cut in the header, in the middle, and by one byte, which an older log file can spare."""
    whole = (data / name).read_bytes()
    for length in sorted({0, 1, 8, 39, 40, 41, len(whole) // 2, len(whole) - 1}):
        if length < len(whole):
            (data / name).write_bytes(whole[:length])
            refused = check(data, name, states)
            spared = name.endswith(SPARED) or (name == FILES[2] and length == len(whole) - 1)
            assert (refused == "") == spared, length


def test_r02_a_newest_log_file_that_lost_its_end(data, states):
    """At every byte: refused, together with all marks in it, unless a mark alone is what is lost."""
    whole, served = (data / NEWEST_LOG).read_bytes(), 0
    for length in sorted({*range(0, len(whole), 7), 39, 40, len(whole) - 1}):
        (data / NEWEST_LOG).write_bytes(whole[:length])
        served += not check(data, NEWEST_LOG, states)
        (data / NEWEST_LOG).write_bytes(whole)
    assert 0 < served < 12


def test_r03_a_flipped_bit_in_the_last_record_whose_mark_is_torn(data, states):
    """The record was on the disk, so this is no torn tail."""
    whole = (data / NEWEST_LOG).read_bytes()
    salt = log_format.unpack_header(whole).salt
    last = [end for entry, end in log_format.entries(memoryview(whole), salt) if entry.op][-1]
    (data / NEWEST_LOG).write_bytes(whole[: last - 1] + bytes([whole[last - 1] ^ 1]) + whole[last : last + 9])
    assert "records from 13 on are lost" in check(data, NEWEST_LOG, states)


def test_r02_a_truncated_newest_log_file(data, original, states, tmp_path):
    """Without the high-water mark, at every byte: the rows of a seq that was once the newest.

    Refused where the header is hurt; of a seq that no segment goes beyond, whatever was cut.
    """
    whole = (data / NEWEST_LOG).read_bytes()
    (data / HIGH_WATER).unlink()
    durable = json.loads((data / "manifest.json").read_bytes())["manifest"]["durable_seq"]
    for length in sorted({*range(0, len(whole), 7), 39, 40}):
        folder = Path(shutil.copytree(data, tmp_path / str(length)))
        (folder / NEWEST_LOG).write_bytes(whole[:length])
        refused, rows, seq = attempt(folder, NEWEST_LOG)
        assert bool(refused) == (length < log_format.HEADER_BYTES), length
        assert refused or (rows == states[str(seq)] and seq >= durable), length


def test_a_log_that_ends_before_what_segments_know_of(data, states):
    """Dead rows whose new versions the log has lost are not served as if they had been deleted."""
    for path in log_files.paths(data / "log")[1:]:
        path.unlink()
    older = data / FILES[2]
    older.write_bytes(older.read_bytes()[: log_format.HEADER_BYTES])
    content = json.loads((data / "manifest.json").read_bytes())
    content["manifest"]["durable_seq"] = 6
    store_manifest(data, content)
    assert "seq 6" in check(data, FILES[2], states)


@pytest.mark.parametrize("tail", [bytes(1), bytes(4096), b"VFR1" * 200, random.Random(7).randbytes(999)])
def test_rubbish_behind_the_newest_log_file(data, tail, states):
    """Zeros and garbage that a power cut leaves behind lose nothing, and are gone at the next start."""
    whole = (data / NEWEST_LOG).read_bytes()
    (data / NEWEST_LOG).write_bytes(whole + tail)
    assert check(data, NEWEST_LOG, states) == ""
    assert (data / NEWEST_LOG).read_bytes() == whole


@pytest.mark.parametrize("tail", [bytes(7), b"VFR1" * 9])
def test_rubbish_behind_an_older_log_file(data, tail, states):
    """A crash in the middle of a rotation can leave it; the file that follows shows that nothing is lost."""
    path = data / FILES[2]
    path.write_bytes(path.read_bytes() + tail)
    assert check(data, path.name, states) == ""


@pytest.mark.parametrize("name", FILES)
def test_r06_a_file_of_another_shard(data, foreign, name, states):
    """Well-formed files of another index never mix with this one's."""
    ours, theirs = (data / name).read_bytes(), (foreign / "data" / name).read_bytes()
    (data / name).write_bytes(theirs)
    assert (check(data, name, states) == "") == (name.endswith("segment.json") or ours == theirs)


@pytest.mark.parametrize("name", FILES)
def test_r03_flipped_bits(data, name, states):
    """One bit at a time, at the file's both ends and at drawn positions."""
    whole = (data / name).read_bytes()
    drawn = random.Random(name)
    positions = {0, 9, len(whole) - 1, *(drawn.randrange(len(whole)) for _ in range(FLIPS))}
    for at in sorted(position for position in positions if position < len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 1 << drawn.randrange(8)]) + whole[at + 1 :]
        (data / name).write_bytes(changed)
        check(data, name, states)


def test_r34_without_checksums_these_tests_fail(data, states, monkeypatch):
    """What they ask is hard: a shard that trusts its files serves other vectors, and is caught at it."""
    monkeypatch.setattr(sealed, "check_files", lambda *_: None)
    path = data / "segments/000000000003/vectors.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(AssertionError):
        check(data, "vectors.bin", states)


def store_manifest(data, content):
    """Write a manifest with the checksum of its content."""
    canonical = json.dumps(content["manifest"], sort_keys=True, separators=(",", ":"))
    content["sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
    (data / "manifest.json").write_text(json.dumps(content))


def newer_identity(data):
    """Give the identity the next version."""
    content = json.loads((data / "identity.json").read_bytes())
    (data / "identity.json").write_text(json.dumps(content | {"version": 2, "more": 1}))


def newer_manifest(data):
    """Give the manifest the next version."""
    content = json.loads((data / "manifest.json").read_bytes())
    content["manifest"] |= {"version": manifest.VERSION + 1, "more": 1}
    store_manifest(data, content)


def newer_segment(data):
    """Give a segment the next version."""
    content = json.loads((data / "manifest.json").read_bytes())
    content["manifest"]["segments"][0]["described"]["version"] = descriptor.VERSION + 1
    store_manifest(data, content)


def newer_vectors(data, name="vectors.bin"):
    """Give a vectors file the next version, and its checksum to the manifest."""
    path = data / "segments/000000000003" / name
    content = bytearray(path.read_bytes())
    content[8] += 1
    path.write_bytes(content)
    listed = json.loads((data / "manifest.json").read_bytes())
    listed["manifest"]["segments"][1]["described"]["files"][name] = descriptor.sum_of(path).model_dump()
    store_manifest(data, listed)


def newer_comparable(data):
    """The same with the vectors that are compared."""
    newer_vectors(data, "comparable.bin")


def newer_log(data):
    """Give the newest log file the next version."""
    content = bytearray((data / NEWEST_LOG).read_bytes())
    content[8] += 1
    content[36:40] = google_crc32c.value(bytes(content[:36])).to_bytes(4, "little")
    (data / NEWEST_LOG).write_bytes(content)


def newer_high_water(data):
    """Give the high-water mark the next version."""
    content = bytearray((data / HIGH_WATER).read_bytes())
    content[8] += 1
    content[24:] = google_crc32c.value(bytes(content[:24])).to_bytes(4, "little")
    (data / HIGH_WATER).write_bytes(content)


def newer_record(data):
    """Append a record of an op that is not known yet."""
    content = (data / NEWEST_LOG).read_bytes()
    salt = log_format.unpack_header(content).salt
    added = log_format.pack_record(salt, 14, log_format.Head(1, 77), [b"x"]) + b"x"
    added += log_format.pack_mark(salt, (1, 14), 14)
    (data / NEWEST_LOG).write_bytes(content + added)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (newer_identity, "identity.json"),
        (newer_manifest, "manifest.json"),
        (newer_segment, "000000000002"),
        (newer_vectors, "vectors.bin"),
        (newer_comparable, "comparable.bin"),
        (newer_log, NEWEST_LOG),
        (newer_high_water, HIGH_WATER),
    ],
)
def test_a_newer_format(data, change, name, states):
    """Both versions are named: the one that is stored, and the one that this program reads."""
    change(data)
    refusal = check(data, name, states)
    assert "has format 2; this program reads format 1" in refusal


def test_a_record_of_a_newer_program(data, states):
    """An op that is not known is refused, not skipped."""
    newer_record(data)
    assert "op 77" in check(data, NEWEST_LOG, states)
