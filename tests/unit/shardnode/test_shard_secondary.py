"""A secondary: it sees what its primary shows, from the same files, whatever becomes of them meanwhile."""

import asyncio
import dataclasses
import json
import threading

import numpy as np
import pytest
from fixtures import builders

from vectorfleet_shardnode import errors, files, operations, records, shown, storage, transitions
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.limits import meter
from vectorfleet_shardnode.secondary import opening, secondary
from vectorfleet_shardnode.segments import manifest, part, sealed
from vectorfleet_shardnode.serving import secondary as served_secondary
from vectorfleet_shardnode.settings import Tuning

DIMENSIONS = 8
INDEX = config.IndexConfig(
    index="shop", serving=config.Generation(dimensions=DIMENSIONS, metric=config.Metric.EUCLIDEAN)
)
TUNING = Tuning(
    growing_rows=20,
    index_min_rows=30,
    unindexed_bytes=1_000,
    log_file_bytes=2_000,
    log_retained_bytes=0,
    settle_seconds=0,
    build_threads=1,
    reserved_bytes=0,
)
EVERYTHING = part.Fields(values=True, metadata=True)


@pytest.fixture
def opened(tmp_path, request):
    """A shard that is served, whose builders work at once; `request.param` are other bounds."""
    bounds = TUNING.model_copy(update=getattr(request, "param", {}))
    made = storage.open_shard(INDEX, 0, tmp_path / "shard", bounds, builders.Built)
    yield made
    made.close()


def follow(opened, **changes):
    """Return a secondary of it."""
    source = secondary.Source(INDEX, 0, opened.shard.folder, TUNING)
    return secondary.Secondary(dataclasses.replace(source, **changes), shown.Seen(opened.shard.share()))


def write(opened, *numbers, value=1):
    """Write rows, whose values tell their number and the write."""
    rows = records.Rows(
        [f"row-{number}" for number in numbers],
        np.array([[number, value] + [0] * (DIMENSIONS - 2) for number in numbers], np.float32),
        [json.dumps({"v": value}).encode()] * len(numbers),
    )
    opened.shard.write(operations.Upsert("", rows)).result(10)


def keep(opened, steps=6):
    """Seal and merge."""
    for _ in range(steps):
        opened.maintenance.step()


def content(state):
    """Return all rows of a state, by id."""
    ids = state.list_ids(part.Page("", "", "", 10_000))
    rows = state.take(state.locate(transitions.keys.keys_of("", ids)), EVERYTHING)
    return {
        row_id: (values.tolist(), data)
        for row_id, values, data in zip(rows.ids, rows.vectors, rows.metadata, strict=True)
    }


def check(opened, follower):
    """Both have the same rows, at the same seq."""
    ours, theirs = opened.shard.snapshot, follower.catch_up()
    assert theirs.seq == ours.seq
    assert content(theirs) == content(ours)


def nearest(state, number, k=1):
    """Return the ids of the rows nearest to the one of a number."""
    query = np.array([[number, 1] + [0] * (DIMENSIONS - 2)], np.float32)
    [(_, place)] = state.search(part.Question("", state.comparable(query), k, None, 64, False))
    return state.take(place, EVERYTHING).ids


def test_a_write_is_seen_once_it_was_answered(opened):
    """Whoever asks next looks whether there is more, and finds it."""
    follower = follow(opened)
    assert follower.level() is not None
    write(opened, 1)
    assert follower.level() is None
    assert "row-1" in content(follower.catch_up())
    assert follower.level() is not None


def test_it_sees_no_write_before_it_is_durable(opened, monkeypatch):
    """The log's file has the record by then, but its primary has shown nothing of it."""
    follower, syncing, going_on = follow(opened), threading.Event(), threading.Event()
    true = files.fsync

    def wait(descriptor):
        syncing.set()
        assert going_on.wait(30)
        true(descriptor)

    monkeypatch.setattr(files, "fsync", wait)
    rows = records.Rows(["late"], np.ones((1, DIMENSIONS), np.float32), [b""])
    done = opened.shard.write(operations.Upsert("", rows))
    assert syncing.wait(30)
    assert "late" not in content(follower.level() or follower.catch_up())
    going_on.set()
    done.result(30)
    assert "late" in content(follower.catch_up())


def test_sealed_and_merged_segments_stand_for_their_rows(opened):
    """It ends up with the segments of the manifest, and with a graph, and lets go of all others."""
    follower = follow(opened)
    for start in range(0, 100, 10):
        write(opened, *range(start, start + 10))
        keep(opened, 2)
        follower.look()
        check(opened, follower)
    keep(opened, 20)
    follower.look()
    check(opened, follower)
    listed = {one.name for one in manifest.read(opened.shard.folder, follower._stored._uid).segments}
    assert {view.segment.name for view in follower.level().sealed} == listed
    assert any(view.segment.engine is not None for view in follower.level().sealed)
    assert nearest(follower.level(), 42) == ["row-42"]


@pytest.mark.parametrize(
    "opened", [{"log_retained_bytes": 0}, {"log_retained_bytes": 1 << 20}], indirect=True
)
def test_what_was_sealed_takes_no_memory_here(opened):
    """A look alone brings it so far, and what grew is let go once segments have its rows."""
    follower = follow(opened)
    for start in range(0, 100, 10):
        write(opened, *range(start, start + 10))
        keep(opened, 2)
    keep(opened, 20)
    follower.look()
    state = follower.level()
    assert state.live_rows == 100
    grows = sum(view.live_rows for view in opened.shard.snapshot.growing)
    assert grows <= 10
    assert sum(len(view.live) for view in state.growing) <= grows + TUNING.growing_rows


def test_rows_that_die_while_they_are_merged_stay_dead(opened):
    """The segment that it opens has them; what it has applied says that they are gone."""
    follower = follow(opened)
    for start in range(0, 60, 10):
        write(opened, *range(start, start + 10))
        keep(opened, 2)
    opened.shard.write(operations.DeleteIds("", ["row-5", "row-55"])).result(10)
    write(opened, 7, value=2)
    keep(opened, 20)
    follower.catch_up()
    follower.look()
    check(opened, follower)
    assert "row-5" not in content(follower.level())


def test_it_begins_anew_where_the_log_was_cut_away(opened):
    """What it missed is in segments, and it goes on from the manifest."""
    follower = follow(opened)
    for start in range(0, 200, 10):
        write(opened, *range(start, start + 10))
        keep(opened, 2)
    assert opened.shard.log.first_seq > follower._state.seq + 1
    check(opened, follower)
    write(opened, 3, value=2)
    check(opened, follower)


def test_a_segment_that_was_replaced_while_it_was_opened_is_no_damage(opened, monkeypatch):
    """There is a newer manifest, and that one is read."""
    for start in range(0, 60, 10):
        write(opened, *range(start, start + 10))
        keep(opened, 2)
    true, left = sealed.SealedSegment, [1]

    def slow(*args, **named):
        if left and left.pop():
            monkeypatch.setattr(sealed, "SealedSegment", true)
            write(opened, *range(100, 130))
            keep(opened, 20)
            monkeypatch.setattr(sealed, "SealedSegment", slow)
        return true(*args, **named)

    monkeypatch.setattr(sealed, "SealedSegment", slow)
    check(opened, follow(opened))


def test_a_damaged_segment_is_told(opened):
    """Its manifest is in force, and its file is not as it was written."""
    write(opened, *range(30))
    keep(opened)
    [segment] = (opened.shard.folder / manifest.SEGMENTS).iterdir()
    path = next(segment.glob("vectors*"))
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(errors.DataLossError, match=path.name):
        follow(opened)


def test_a_record_that_could_not_be_applied_is_applied_later_and_once(opened, monkeypatch):
    """Some of its rows may stand behind the state; they are nobody's."""
    follower = follow(opened)
    write(opened, 1)
    follower.catch_up()
    write(opened, 2, 3)
    true = transitions.applied

    def fail(state, place, record):
        true(state, place, record)
        raise MemoryError

    monkeypatch.setattr(transitions, "applied", fail)
    with pytest.raises(errors.LogFailedError):
        follower.catch_up()
    monkeypatch.setattr(transitions, "applied", true)
    check(opened, follower)
    assert follower.level().live_rows == 3


def test_graphs_that_do_not_fit_are_left_out(opened):
    """Rows are compared without them, so that answers stay right."""
    for start in range(0, 60, 10):
        write(opened, *range(start, start + 10))
        keep(opened, 2)
    keep(opened, 20)
    follower = follow(opened, measured=meter.Meter(1_000, lambda: 999))
    assert all(view.segment.engine is None for view in follower.level().sealed)
    assert nearest(follower.level(), 42) == ["row-42"]
    assert any(view.segment.engine is not None for view in follow(opened).level().sealed)


def test_it_reads_no_other_shard_than_it_was_told(opened):
    """The folder says whose rows it has."""
    with pytest.raises(errors.WrongIdentityError):
        follow(opened, number=1)


def test_nobody_serves_the_folder(tmp_path):
    """There is no secondary without a primary."""
    nowhere = served_secondary.Followed(0, tmp_path, tmp_path / "shown")
    with pytest.raises(errors.UnavailableError, match="nobody serves"):
        asyncio.run(served_secondary.open_secondary(INDEX, nowhere))


def test_a_manifest_that_is_always_newer_is_told(opened, monkeypatch):
    """It does not try for ever."""
    write(opened, *range(30))
    keep(opened)
    stamps = iter(range(1_000))
    monkeypatch.setattr(opening.Stored, "stamp", lambda _: (next(stamps), 0))

    def gone(*_, **__):
        raise errors.DataLossError("gone")

    monkeypatch.setattr(sealed, "SealedSegment", gone)
    with pytest.raises(errors.UnavailableError, match="faster"):
        follow(opened)
