"""Segments, growing and sealed, as parts of a snapshot; the manifest that lists them."""

import threading

import numpy as np
import pytest

from vectorfleet_shardnode import errors, filters, keys, records, shape
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.segments import (
    builder,
    columns,
    descriptor,
    filter_file,
    growing,
    manifest,
    part,
    sealed,
    writer,
)
from vectorfleet_shardnode.upkeep import layout

METRIC = config.Metric.EUCLIDEAN
BOTH = part.Fields(values=True, metadata=True)


def recipe(engine=config.EngineKind.FLAT):
    """Return how test segments are made."""
    return descriptor.Recipe(metric=METRIC, dimensions=2, engine=engine, hnsw=config.HnswParameters())


def grow(view, namespace, rows, seq):
    """Append rows {id: (x, metadata)} to a growing view."""
    vectors = np.array([[x, -x] for x, _ in rows.values()], np.float32)
    content = records.Rows(list(rows), vectors, [data for _, data in rows.values()])
    view.segment.append(keys.keys_of(namespace, content.ids), content, seq)
    return view.extended()


@pytest.fixture
def view():
    """Five rows in two namespaces, one of them dead."""
    view = growing.empty_view(shape.Shape(METRIC, 2))
    view = grow(view, "b", {"ö": (1.0, b'{"k":1}'), "a": (2.0, b"")}, 1)
    view = grow(view, "", {"a": (3.0, b'{"k":2}'), "ab": (4.0, b""), "z": (5.0, b"")}, 2)
    return view.without(np.array([4]))


@pytest.fixture
def sealed_view(view, tmp_path):
    """The same rows, sealed."""
    return seal(view, tmp_path / "s1")


def seal(view, folder, engine=config.EngineKind.FLAT):
    """Seal a growing view's live rows."""
    folder.mkdir()
    described = writer.write(folder, [layout.source_of(view)], recipe(engine))
    return sealed.SealedView(sealed.SealedSegment(folder, described), np.ones(described.rows, np.bool_))


@pytest.fixture(params=["growing", "sealed", "with filter indexes"])
def either(request, view, tmp_path, monkeypatch):
    """Both kinds of part; the sealed one with and without a file of filter indexes."""
    if request.param == "growing":
        return view
    if request.param == "with filter indexes":
        monkeypatch.setattr(filter_file, "MIN_ROWS", 1)
    made = seal(view, tmp_path / "s1")
    assert (writer.FILTERS in made.segment.descriptor.files) is (request.param == "with filter indexes")
    return made


def test_a_row_is_found_by_namespace_and_id(either):
    """The same id in two namespaces is two rows; the dead and the unknown are -1."""
    found = either.find(keys.keys_of("", ["a", "z", "nobody", "ab"]))
    assert (found >= 0).tolist() == [True, False, False, True]
    taken = either.take(found[[0, 3]], BOTH)
    assert taken.ids == ["a", "ab"]
    assert taken.vectors.tolist() == [[3, -3], [4, -4]]
    assert taken.metadata == [b'{"k":2}', b""]
    assert either.find(keys.keys_of("nowhere", ["a"])).tolist() == [-1]


def test_rows_are_listed_by_bytes_and_counted_by_namespace(either):
    """Ids come in order of their UTF-8 bytes, from behind `after`, within the prefix."""
    assert either.list_ids(part.Page("b", "", "", 10)) == ["a", "ö"]
    assert either.list_ids(part.Page("", "a", "a", 10)) == ["ab"]
    assert either.list_ids(part.Page("", "", "", 1)) == ["a"]
    assert either.list_ids(part.Page("nowhere", "", "", 10)) == []
    assert either.count(None) == {"": 2, "b": 2}
    passing = either.count(filters.parse(b'{"k": {"$gt": 0}}'))
    assert {name: rows for name, rows in passing.items() if rows} == {"": 1, "b": 1}


def test_a_search_stays_in_its_namespace_and_filter(either):
    """Rows of others never come back, however near."""
    query = np.array([[3, -3]], np.float32)
    found = either.search(part.Question("b", query, 10, None, 10, False))
    assert either.take(found.rows[0][found.rows[0] >= 0], BOTH).ids == ["a", "ö"]
    found = either.search(part.Question("", query, 10, filters.parse(b'{"k": 9}'), 10, False))
    assert (found.rows < 0).all()


def test_a_dead_row_is_gone_from_every_read(either):
    """`without` makes a new view; the old one still has the row."""
    row = either.find(keys.keys_of("", ["a"]))
    after = either.without(row)
    assert after.find(keys.keys_of("", ["a"])).tolist() == [-1]
    assert after.list_ids(part.Page("", "", "", 9)) == ["ab"]
    assert after.count(None)[""] == 1
    assert (after.live_rows, either.live_rows) == (3, 4)
    assert either.find(keys.keys_of("", ["a"])).tolist() == row.tolist()


def test_keys_are_told_by_row(either):
    """Every row gives back the key and the hash that it is found by."""
    rows = np.flatnonzero(either.live)
    for found in either.keys_of(rows):
        again = keys.keys_of(found.namespace, found.ids)
        assert (again.hashes == found.hashes).all()
        assert (either.find(again) >= 0).all()


def test_an_older_view_keeps_its_versions(view):
    """Rows that are written later, new versions of its own too, do not change what a reader sees."""
    newer = grow(
        view.without(view.find(keys.keys_of("b", ["a"]))), "b", {"a": (9.0, b""), "new": (8.0, b"")}, 3
    )
    assert view.take(view.find(keys.keys_of("b", ["a"])), BOTH).vectors.tolist() == [[2, -2]]
    assert view.find(keys.keys_of("b", ["new"])).tolist() == [-1]
    assert newer.take(newer.find(keys.keys_of("b", ["a"])), BOTH).vectors.tolist() == [[9, -9]]


def test_readers_never_wait_nor_see_half_a_write(view):
    """While a writer appends, a reader's view keeps giving the same rows."""
    done = threading.Event()

    def write():
        newest = view
        for number in range(300):
            newest = grow(newest, "b", {f"n{number}-{row}": (number, b"") for row in range(9)}, number + 3)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        assert view.count(None) == {"": 2, "b": 2}
        assert view.list_ids(part.Page("b", "", "", 99)) == ["a", "ö"]
    thread.join()


def test_keys_with_equal_hashes_are_told_apart(tmp_path, monkeypatch):
    """A hash only leads to a row; namespace and id decide."""
    monkeypatch.setattr("vectorfleet_shardnode.api.placement.hash_id", lambda *_: 42)
    view = grow(growing.empty_view(shape.Shape(METRIC, 2)), "", {"a": (1.0, b""), "b": (2.0, b"")}, 1)
    view = seal(grow(view, "other", {"a": (3.0, b"")}, 2), tmp_path / "s")
    found = view.find(keys.keys_of("", ["b", "a", "c"]))
    assert view.take(found[:2], BOTH).vectors.tolist() == [[2, -2], [1, -1]]
    assert found[2] == -1


def test_a_merge_keeps_live_rows_their_seqs_and_bytes(view, tmp_path):
    """The builder's job, as its process runs it: two segments become one, without the dead."""
    first = seal(view, tmp_path / "a")
    first = first.without(first.find(keys.keys_of("b", ["ö"])))
    second = seal(
        grow(growing.empty_view(shape.Shape(METRIC, 2)), "", {"b": (7.0, b"{}")}, 9), tmp_path / "b"
    )
    inputs = [
        builder.Input(
            folder=str(given.segment.folder),
            described=given.segment.descriptor,
            tombstones=manifest.write_tombstones(tmp_path, given.live, number),
        )
        for number, given in enumerate((first, second))
    ]
    output, made = tmp_path / "out", recipe(config.EngineKind.HNSW)
    job = builder.Job(
        inputs=inputs, output=str(output), recipe=made, threads=1, niceness=0, yields=False, parent=1
    )
    described = builder.run(builder.Job.model_validate_json(job.model_dump_json()), tmp_path)
    merged = sealed.SealedView(sealed.SealedSegment(output, described), np.ones(described.rows, np.bool_))
    assert merged.count(None) == {"": 3, "b": 1}
    assert (described.first_seq, described.last_seq) == (1, 9)
    taken = merged.take(merged.find(keys.keys_of("", ["ab", "b"])), BOTH)
    assert (taken.vectors.tolist(), taken.metadata) == ([[4, -4], [7, -7]], [b"", b"{}"])
    assert merged.segment.engine is not None


def test_damaged_files_are_refused_before_anything_reads_them(sealed_view, monkeypatch):
    """A flipped bit, a short file and a missing one are named; FAISS and Arrow never see them."""
    monkeypatch.setattr(columns, "Columns", lambda _: pytest.fail("read before it was checked"))
    segment = sealed_view.segment
    for name in segment.descriptor.files:
        path = segment.folder / name
        whole = path.read_bytes()
        for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-1], whole + b"\0"):
            path.write_bytes(damaged)
            with pytest.raises(errors.DataLossError, match=f"{name} is damaged"):
                sealed.SealedSegment(segment.folder, segment.descriptor)
        path.unlink()
        with pytest.raises(errors.DataLossError, match=f"{name} is missing"):
            sealed.SealedSegment(segment.folder, segment.descriptor)
        path.write_bytes(whole)


def listing(view, tombstones=None):
    """Return a manifest that lists one segment."""
    listed = manifest.Listed(name=view.segment.name, described=view.segment.descriptor, tombstones=tombstones)
    return manifest.Manifest(covered_seq=2, next_number=2, segments=(listed,))


def test_a_manifest_comes_back_as_written(sealed_view, tmp_path):
    """With tombstones and all; a folder without one is empty."""
    assert manifest.read(tmp_path) == manifest.Manifest()
    live = np.array([True, False, True, True])
    stored = listing(sealed_view, manifest.write_tombstones(sealed_view.segment.folder, live, 7))
    manifest.write(tmp_path, stored)
    assert manifest.read(tmp_path) == stored
    tombstones = stored.segments[0].tombstones
    assert manifest.read_live(sealed_view.segment.folder, 4, tombstones).tolist() == live.tolist()
    (sealed_view.segment.folder / tombstones.file).write_bytes(b"\xff")
    with pytest.raises(errors.DataLossError, match="is damaged"):
        manifest.read_live(sealed_view.segment.folder, 4, tombstones)


def test_a_changed_manifest_is_refused(sealed_view, tmp_path):
    """Any change of its content, a newer format, and rubbish."""
    manifest.write(tmp_path, listing(sealed_view))
    path = tmp_path / manifest.FILE_NAME
    whole = path.read_text()
    for text in (whole.replace('"covered_seq": 2', '"covered_seq": 3'), whole[:-9], "[]", ""):
        path.write_text(text)
        with pytest.raises(errors.DataLossError, match="is damaged"):
            manifest.read(tmp_path)
    manifest.write(tmp_path, manifest.Manifest(version=2))
    with pytest.raises(errors.DataLossError, match="format 2; this program reads format 1"):
        manifest.read(tmp_path)


def test_cleaning_leaves_exactly_what_is_listed(view, tmp_path):
    """Unlisted segments, old tombstones and temporary files go; the rest stays."""
    home = tmp_path / manifest.SEGMENTS
    home.mkdir()
    kept, gone = seal(view, home / "1"), seal(view, home / "2")
    live = np.array([True, False, True, True])
    old = manifest.write_tombstones(kept.segment.folder, live, 1)
    new = manifest.write_tombstones(kept.segment.folder, ~live, 2)
    (tmp_path / "tmp-manifest.json").write_text("half")
    manifest.clean(tmp_path, listing(kept, new))
    assert not gone.segment.folder.exists()
    assert not (kept.segment.folder / old.file).exists()
    assert (kept.segment.folder / new.file).exists()
    assert not (tmp_path / "tmp-manifest.json").exists()
    sealed.SealedSegment(kept.segment.folder, kept.segment.descriptor)
