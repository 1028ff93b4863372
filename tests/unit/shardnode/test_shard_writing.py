"""Writes where full segments wait to be flushed: what grows waits, what removes rows does not."""

import numpy as np
import pytest
from fixtures import builders

from vectorfleet_shardnode import errors, freezing, operations, records, settings, storage
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.segments import part
from vectorfleet_shardnode.serving import writing

TUNING = settings.Tuning(growing_rows=2, settle_seconds=3_600.0, reserved_bytes=0)
FULL = 3  # growing segments: two that wait to be flushed, and the one that is written to


@pytest.fixture
def full(tmp_path):
    """A shard that has no room: nobody flushes, unless a test takes a step of maintenance."""
    index = config.IndexConfig(index="shop", serving=config.Generation(dimensions=2))
    opened = storage.open_shard(index, 0, tmp_path, TUNING, builders.Built)
    for number in range(FULL):
        opened.shard.write(upsert(f"{number}-a", f"{number}-b")).result(10)
    assert len(opened.shard.snapshot.growing) == FULL
    yield opened
    opened.close()


def upsert(*ids):
    """Return a write of rows."""
    return operations.Upsert(
        "", records.Rows(list(ids), np.ones((len(ids), 2), np.float32), [b""] * len(ids))
    )


def ids_of(served):
    """List every id."""
    return served.shard.snapshot.list_ids(part.Page("", "", "", 1_000))


def asked(**fields):
    """Return a write as it is sent."""
    return shard_pb2.WriteRequest(**fields)


def removal(row_id):
    """Return the removal of a row, as it is sent."""
    return asked(delete=shard_pb2.Delete(ids=shard_pb2.Ids(ids=[row_id])))


def test_removals_pass_a_write_that_waits_for_room(full):
    """They are done while it waits, in the order they came, and it is done once a segment was flushed."""
    writer = writing.Writer(full.shard)
    rows = shard_pb2.Rows(ids=["new"], vectors=np.ones(2, "<f4").tobytes())
    waiting = writer.submit(asked(upsert=shard_pb2.Upsert(rows=rows)))
    removed = [writer.submit(removal(row_id)) for row_id in ("0-a", "1-b", "0-a")]
    assert [done.result(10).result(10).affected for done in removed] == [1, 1, 0]
    assert not waiting.done()
    full.maintenance.step()
    assert waiting.result(10).result(10).affected == 1
    writer.close()
    assert ids_of(full) == ["0-b", "1-a", "2-a", "2-b", "new"]


def test_a_removal_that_nobody_waits_for_any_more_is_left_out(full):
    """One that was given up before its turn does nothing, and those behind it are done."""
    writer = writing.Writer(full.shard)
    with full.shard._writing:  # so that no turn comes
        rows = shard_pb2.Rows(ids=["new"], vectors=np.ones(2, "<f4").tobytes())
        waiting = writer.submit(asked(upsert=shard_pb2.Upsert(rows=rows)))
        given_up, wanted = writer.submit(removal("0-a")), writer.submit(removal("0-b"))
        assert given_up.cancel()
    assert wanted.result(10).result(10).affected == 1
    full.maintenance.step()
    waiting.result(10).result(10)
    writer.close()
    assert "0-a" in ids_of(full)


def test_a_removal_goes_where_there_is_no_room(full):
    """By itself it waits for nothing, whatever waits to be flushed; it ends no segment either."""
    assert full.shard.write(operations.DeleteIds("", ["0-a", "2-a"])).result(10).affected == 2
    assert len(full.shard.snapshot.growing) == FULL
    assert full.shard.write(records.Clear("")).result(10).affected == 4
    assert ids_of(full) == []


def test_what_waited_for_room_looks_again(full):
    """Where somebody else has begun the next segment meanwhile, it goes there: no empty one is ended."""
    others = []

    def meanwhile():
        full.maintenance.step()
        others.append(full.shard.freeze())

    full.shard.write(upsert("new"), meanwhile=meanwhile).result(10)
    assert len(others) == 1
    assert [view.segment.rows for view in full.shard.snapshot.growing] == [2, 2, 1]


def test_what_waited_is_not_written_twice(full):
    """A write that was done meanwhile under the same id is known when the wait is over."""
    again = []

    def meanwhile():
        full.maintenance.step()
        again.append(full.shard.write(upsert("new"), b"i" * 16))

    first = full.shard.write(upsert("new"), b"i" * 16, meanwhile).result(10)
    assert [done.result(10) for done in again] == [first]


def test_no_room_for_long_is_told(full, monkeypatch):
    """After the patience the write is refused with the reason, and nothing of it is left."""
    monkeypatch.setattr(freezing, "_PATIENCE", 0.0)
    with pytest.raises(errors.FlushBehindError, match="2 full segments wait to be written"):
        full.shard.write(upsert("new"))
    assert "new" not in ids_of(full)
    assert [told.type for told in full.shard.limits.conditions()] == []  # the volume has room
