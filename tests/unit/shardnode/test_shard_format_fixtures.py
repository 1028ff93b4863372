"""The stored format: folders of every released version open, and a reader written from the page agrees.

`tests/fixtures/shard-v<N>/<kind>` are folders as a stopped process of format N left them, see lives.py there.
"""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fixtures import folders, lives, page
from oracles import bm25

from vectorfleet_shardnode import files, filters, identity, sparse, text_search
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.copies import write_ids_file
from vectorfleet_shardnode.engines import base, clusters, signs
from vectorfleet_shardnode.log import high_water, log_format
from vectorfleet_shardnode.multivector import question as questions
from vectorfleet_shardnode.multivector import search as multivector
from vectorfleet_shardnode.segments import (
    descriptor,
    filter_file,
    manifest,
    offsets_file,
    part,
    sparse_files,
    text_file,
    vectors_file,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"
VERSIONS = sorted(FIXTURES.glob("shard-v*"), key=lambda folder: int(folder.name.removeprefix("shard-v")))
STORED = [folder for version in VERSIONS for folder in sorted(version.iterdir())]
NEWEST = VERSIONS[-1]
NAMES = part.Fields(values=False, metadata=False)


@pytest.fixture(params=STORED, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def stored(request):
    """A folder of each kind and version."""
    return request.param


@pytest.fixture(scope="module", params=lives.KINDS)
def written(request, tmp_path_factory):
    """A folder of each kind that this program has written just now; it bears the kind's name."""
    folder = tmp_path_factory.mktemp("written") / request.param
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "fsync", lambda _: None)
        lives.make(folder, request.param)
    return folder


@pytest.fixture
def opened(stored, tmp_path):
    """A copy of a stored folder, open."""
    setting = lives.KINDS[stored.name].setting
    served = folders.open_folder(Path(shutil.copytree(stored / "data", tmp_path / "data")), setting)
    yield served
    served.close()


def last_rows(folder):
    """Return the rows that the folder must hold, and the seq."""
    states = json.loads((folder / "rows.json").read_text())
    seq = list(states)[-1]
    return states[seq], int(seq)


def as_json(rows):
    """Return rows as JSON has them."""
    return json.loads(json.dumps(rows))


def test_r32_a_folder_of_every_version_opens_with_every_row(stored, tmp_path):
    """Bit for bit; and it can be written to, compacted and opened again."""
    (rows, seq), setting = last_rows(stored), lives.KINDS[stored.name].setting
    replaced = next(iter(rows[""]))
    data = shutil.copytree(stored / "data", tmp_path / "data")
    served = folders.open_folder(data, setting)
    assert (as_json(folders.rows_of(served, setting)), served.shard.snapshot.seq) == (rows, seq)
    writer = folders.Writer(served, setting, 9)
    writer.upsert("", "new", replaced)
    writer.settle()
    served.close()
    served = folders.open_folder(data, setting)
    found = as_json(folders.rows_of(served, setting))
    assert found == as_json(writer.states[seq + 1])
    changed = {"new", replaced}
    assert {row_id: row for row_id, row in found[""].items() if row_id not in changed} == {
        row_id: row for row_id, row in rows[""].items() if row_id not in changed
    }
    served.close()


def test_a_change_of_format_brings_a_fixture():
    """Where this fails a VERSION was raised. See "When the format changes" in docs/storage-format.md:

    keep every folder that is here, add those of the next version (PYTHONPATH=tests python -m
    fixtures.make_shard tests/fixtures/shard-v<N>), and make the program read all of them.
    """
    content = json.loads((NEWEST / "plain/data/manifest.json").read_bytes())["manifest"]
    assert {
        "identity": json.loads((NEWEST / "plain/data/identity.json").read_bytes())["version"],
        "manifest": content["version"],
        "segment": content["segments"][0]["described"]["version"],
        "log": version_of("*/data/log/*.log"),
        "high-water mark": version_of("*/data/log/high-water"),
        "vectors": version_of("*/data/segments/*/vectors.bin"),
        "offsets": version_of("*/data/segments/*/field-*-offsets.bin"),
        "filters": version_of("*/data/segments/*/filters.bin"),
        "clusters": version_of("*/data/segments/*/clusters.bin"),
        "signs": version_of("*/data/segments/*/signs.bin"),
        "text": version_of("*/data/segments/*/text-*.bin"),
        "sparse": version_of("*/data/segments/*/sparse*.bin"),
        "write ids": version_of("*/data/write-ids-*.bin"),
    } == {
        "identity": identity.VERSION,
        "manifest": manifest.VERSION,
        "segment": descriptor.VERSION,
        "log": log_format.VERSION,
        "high-water mark": high_water.VERSION,
        "vectors": vectors_file.VERSION,
        "offsets": offsets_file.VERSION,
        "filters": filter_file.VERSION,
        "clusters": clusters.VERSION,
        "signs": signs.VERSION,
        "text": text_file.VERSION,
        "sparse": sparse_files.VERSION,
        "write ids": write_ids_file.VERSION,
    }


def version_of(pattern):
    """Return the one version that the newest folders' binary files of a kind have."""
    [version] = {struct.unpack_from("<I", path.read_bytes(), 8)[0] for path in NEWEST.glob(pattern)}
    return version


def test_every_kind_is_kept_of_every_version():
    """A kind that is new is written once, and kept with the version that it came in."""
    assert {folder.name for folder in NEWEST.iterdir()} == lives.KINDS.keys()


def test_files_and_fields_are_those_of_the_newest_fixture(written):
    """A file or a JSON field that comes or goes is a change of format, and needs a version of its own."""
    assert shape_of(written / "data") == shape_of(NEWEST / written.name / "data")


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
    assert page.Reader(stored / "data").rows == last_rows(stored)[0]


def test_a_reader_written_from_the_page_reads_what_is_written_now(written):
    """So the page is right about this program."""
    assert page.Reader(written / "data").rows == last_rows(written)[0]


def test_every_kind_holds_what_it_is_there_for():
    """Ghosts, and tombstones beside them; every kind of file that the page describes."""
    read = {folder.name: page.Reader(folder / "data").segments for folder in NEWEST.iterdir()}
    assert all(any(segment.tombstones for segment in segments) for segments in read.values())
    haunted = read["ghosts"][0]
    assert haunted.ghosts == 20
    assert haunted.tombstones["dead"] == 3
    assert read["fields"][0].ghosts == read["fields-codes"][0].ghosts == 20
    held = {name for segments in read.values() for segment in segments for name in segment.files}
    assert held == {
        *("segment.json", "columns.arrow", "vectors.bin", "comparable.bin", "clusters.bin", "filters.bin"),
        "signs.bin",
        *("graph.faiss", "codes.faiss", "ivf.faiss", "graph.hnswlib", "text-0.bin", "text-1.bin"),
        *("sparse.bin", "sparse-postings.bin"),
        *(f"field-{number}-{name}.bin" for number in (0, 1) for name in ("offsets", "vectors", "comparable")),
        *(f"field-{number}-{name}.faiss" for number in (0, 1) for name in ("graph", "codes")),
    }


def test_stored_write_ids_are_recognised(tmp_path):
    """Those that came with the copy, and those of the log behind it, as the page's reader finds them."""
    folder, setting = NEWEST / "copied", lives.KINDS["copied"].setting
    wanted = page.Reader(folder / "data").writes
    assert {write_id: write[2] for write_id, write in wanted.items()} == {
        b"other write's id": 30,
        b"third write's id": 2,
        b"late write's id.": 1,
    }
    served = folders.open_folder(Path(shutil.copytree(folder / "data", tmp_path / "data")), setting)
    for write_id, (seq, epoch, affected) in wanted.items():
        assert served.shard.log.find_write(write_id) == (seq, affected, epoch)
    served.close()


def vectors_of(folder):
    """Return the vectors of the rows that live."""
    rows = last_rows(folder)[0][""]
    return np.array([np.frombuffer(bytes.fromhex(row[0]), "<f4") for row in rows.values()])


def test_stored_engines_find_the_rows(stored, opened):
    """Without a build: by each engine's file what an exact search finds, scored alike."""
    state, vectors = opened.shard.snapshot, vectors_of(stored)
    assert any(view.segment.engine is not None for view in state.sealed)
    found, right = (
        state.search(part.Question("", state.comparable(vectors), 3, None, 64, exact))
        for exact in (False, True)
    )
    best = [scores[0] for scores, _ in found], [scores[0] for scores, _ in right]
    assert np.isclose(*best, rtol=1e-5, atol=1e-6).mean() >= 0.95
    agreeing = sum(
        len(set(state.take(near, NAMES).ids) & set(state.take(exact, NAMES).ids))
        for (_, near), (_, exact) in zip(found, right, strict=True)
    )
    assert agreeing >= 0.85 * 3 * len(vectors)


def test_stored_texts_answer(tmp_path):
    """As the formula says of the rows that live, from the postings of the file, growing rows included."""
    folder = NEWEST / "text"
    setting = lives.KINDS["text"].setting
    served = folders.open_folder(Path(shutil.copytree(folder / "data", tmp_path / "data")), setting)
    rows = {row_id: json.loads(row[1] or "{}") for row_id, row in last_rows(folder)[0][""].items()}
    for text in ("Häuser", "rote Straßen laufen", "neu spät 2004", "und"):
        expected = bm25.ranked(rows, text, ("title", "body"), config.Language.GERMAN)
        state = served.shard.snapshot
        scores, place = text_search.search(state, text_search.Question("", text, 200, None))
        assert state.take(place, NAMES).ids == [row_id for row_id, _ in expected]
        np.testing.assert_allclose(scores, [score for _, score in expected], rtol=1e-6)
    served.close()


@pytest.mark.parametrize(
    "source",
    [
        '{"s": "Ä"}',
        '{"d": {"$lt": "2026-06-01"}}',
        '{"i": {"$gt": 9223372036854775807}}',
        '{"u": {"$in": [1]}}',
        '{"b": false}',
        '{"f": {"$gte": 1.5}}',
        '{"l": {"$exists": true}}',
        '{"mixed": "1"}',
        '{"$not": {"t": {"$in": ["a", ""]}}}',
    ],
)
def test_stored_filter_indexes_answer(tmp_path, source):
    """As every row's metadata say."""
    dates = frozenset([("d", config.FieldType.DATETIME)])
    folder, wanted = NEWEST / "filters", filters.parse(source.encode(), dates)
    setting = lives.KINDS["filters"].setting
    served = folders.open_folder(Path(shutil.copytree(folder / "data", tmp_path / "data")), setting)
    rows = last_rows(folder)[0][""]
    passing = filters.mask(wanted, [json.loads(row[1] or "{}") for row in rows.values()]).sum()
    assert passing
    assert served.shard.snapshot.count(wanted) == {"": passing}
    served.close()


@pytest.mark.parametrize("name", ["title", "body"])
@pytest.mark.parametrize("kind", ["fields", "fields-codes"])
def test_stored_vector_fields_answer(tmp_path, kind, name):
    """Through the field's graph, ghosts and all, the row whose vectors are asked for comes first."""
    folder, setting = NEWEST / kind, lives.KINDS[kind].setting
    served = folders.open_folder(Path(shutil.copytree(folder / "data", tmp_path / "data")), setting)
    state, dimensions = served.shard.snapshot, {"title": 4, "body": 3}[name]
    for row_id, row in last_rows(folder)[0][""].items():
        if name not in row[2]:
            continue
        items = np.frombuffer(bytes.fromhex(row[2][name]), "<f4").reshape(-1, dimensions)
        term = questions.Term(name, base.comparable(state.metric, items), 1, late=name == "body")
        asked = questions.Question("", (term,), 1, None, 64, questions.depths_of(20, 1, 1, (term,)), False)
        scores, place = multivector.search(state, asked)
        assert state.take(place, NAMES).ids == [row_id]
        np.testing.assert_allclose(scores, [len(items)], rtol=1e-4)
    served.close()


def test_stored_sparse_values_answer(tmp_path):
    """Dense and sparse dot product, of each row that lives, and by the postings alone."""
    folder, setting = NEWEST / "sparse", lives.KINDS["sparse"].setting
    served = folders.open_folder(Path(shutil.copytree(folder / "data", tmp_path / "data")), setting)
    state, rows = served.shard.snapshot, last_rows(folder)[0][""]
    asked = {0: 2.0, 8: -1.5, 2**32 - 1: 0.5, 77: 9.0}
    vector = sparse.Vector(np.array(list(asked), np.uint32), np.array(list(asked.values())))
    dense = np.linspace(-1, 1, 8, dtype=np.float32)
    right = {}
    for row_id, row in rows.items():
        values = np.frombuffer(bytes.fromhex(row[0]), "<f4").astype(np.float64)
        pairs = struct.iter_unpack("<If", bytes.fromhex(row[2]["sparse values"] if len(row) > 2 else ""))
        right[row_id] = values @ dense + sum(asked.get(index, 0) * value for index, value in pairs)
    term = questions.Term("", dense[None], 1, late=False)
    for exact in (True, False):
        depths = questions.depths_of(5, 0, 1, (term,))
        question = questions.Question("", (term,), 5, None, 64, depths, exact, vector)
        scores, place = multivector.search(state, question)
        best = sorted(right, key=right.get, reverse=True)[:5]
        assert state.take(place, NAMES).ids == best
        np.testing.assert_allclose(scores, [right[row_id] for row_id in best], rtol=1e-5)
    served.close()
