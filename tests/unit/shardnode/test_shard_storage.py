"""A shard in its folder: what is refused at the start, what a full or failing disk does, who sees what."""

import errno
import os
import shutil
import threading

import numpy as np
import pytest
from fixtures import builders

from vectorfleet_shardnode import (
    errors,
    files,
    identity,
    keys,
    metrics,
    operations,
    records,
    settings,
    shape,
    shard,
    states,
    storage,
)
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.engines import base
from vectorfleet_shardnode.limits import disk, guard
from vectorfleet_shardnode.log import log_files
from vectorfleet_shardnode.segments import manifest, part

TUNING = settings.Tuning(
    growing_rows=4,
    index_min_rows=6,
    settle_seconds=0,
    build_threads=1,
    reserved_bytes=0,
    log_retained_bytes=0,
)


def index_of(dimensions=2, metric=config.Metric.COSINE):
    """Return an index's configuration."""
    return config.IndexConfig(index="shop", serving=config.Generation(dimensions=dimensions, metric=metric))


class Failing(builders.Built):
    """A builder that ended badly."""

    returncode = 1

    def __init__(self, *_):
        pass

    def poll(self):
        """It has ended."""
        return 1

    def communicate(self):
        """It said why."""
        return b"", b"Traceback\nMemoryError: no more\n"


@pytest.fixture
def opening(tmp_path):
    """Open the shard in tmp_path; what is open at the end is closed."""
    opened = []

    def open_it(index=None, start_builder=builders.Built, number=0, tuning=TUNING):
        opened.append(storage.open_shard(index or index_of(), number, tmp_path, tuning, start_builder))
        return opened[-1]

    yield open_it
    for each in opened:
        if each.shard.log._committer.is_alive():
            each.close()


def upsert(served, *ids, x=1.0):
    """Write rows; returns when they are durable."""
    vectors = np.array([[x, number + 1] for number, _ in enumerate(ids)], np.float32)
    operation = operations.Upsert("", records.Rows(list(ids), vectors, [b""] * len(ids)))
    return served.shard.write(operation).result(10)


def ids_of(served):
    """List every id."""
    return served.shard.snapshot.list_ids(part.Page("", "", "", 1_000))


def test_another_indexs_data_is_refused_with_both_named(opening, tmp_path):
    """Dimension, metric, shard: each difference is named with what is stored and what was wanted."""
    opening().close()
    with pytest.raises(errors.WrongIdentityError, match="dimensions 2 stored, 3 wanted"):
        opening(index_of(dimensions=3))
    with pytest.raises(errors.WrongIdentityError, match="metric cosine stored, euclidean wanted"):
        opening(index_of(metric=config.Metric.EUCLIDEAN))
    with pytest.raises(errors.WrongIdentityError, match="shard 0 stored, 1 wanted"):
        opening(number=1)
    assert opening().shard.snapshot.seq == 0


def test_a_folder_that_is_served_is_refused(opening):
    """Two processes never write one log."""
    opening()
    with pytest.raises(errors.NotHereError, match="another process serves"):
        opening()


@pytest.mark.parametrize(
    "lost",
    [identity.FILE_NAME, shard.LOG, manifest.SEGMENTS + "/000000000001/vectors.bin"],
)
def test_files_that_went_missing_are_damage_not_a_new_shard(opening, tmp_path, lost):
    """Nothing acknowledged is ever replaced by an empty shard."""
    served = opening()
    for number in range(3):
        upsert(served, *(f"{number}-{row}" for row in range(4)))
    served.maintenance.step()
    served.close()
    path = tmp_path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(errors.DataLossError):
        opening()


def test_a_set_up_that_was_cut_short_is_done_again(opening, tmp_path):
    """A folder with a log but no records and no identity is nobody's."""
    (tmp_path / shard.LOG).mkdir()
    log_files.create(tmp_path / shard.LOG, 1)
    assert ids_of(opening()) == []


def test_a_write_is_seen_only_once_it_is_durable(opening, monkeypatch):
    """While its fsync is under way the write is neither acknowledged nor visible."""
    served = opening()
    entered, release = threading.Event(), threading.Event()
    monkeypatch.setattr(files, "fsync", lambda _: (entered.set(), release.wait(10)))
    vectors = np.ones((1, 2), np.float32)
    done = served.shard.write(operations.Upsert("", records.Rows(["a"], vectors, [b""])))
    assert entered.wait(10)
    assert not done.done()
    assert ids_of(served) == []
    nothing = served.shard.write(operations.DeleteIds("", ["nobody"]))
    assert not nothing.done()
    release.set()
    assert done.result(10) == states.Written(1, 1, 1)
    assert nothing.result(10) == states.Written(1, 0, 1)
    assert ids_of(served) == ["a"]


def test_a_failed_fsync_refuses_writes_and_keeps_reads(opening, monkeypatch):
    """The write that waited fails, later ones are refused at once, what was durable is still served."""
    served = opening()
    upsert(served, "a")

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "fsync", fail)
    with pytest.raises(errors.LogFailedError):
        upsert(served, "b")
    with pytest.raises(errors.LogFailedError):
        upsert(served, "c")
    assert ids_of(served) == ["a"]
    assert "until a restart" in served.shard.refusal
    served.maintenance.step()
    assert ids_of(served) == ["a"]


def test_a_manifest_that_may_be_lost_ends_maintenance_until_a_restart(opening, tmp_path, monkeypatch):
    """Either manifest may be in force after a power cut, so what either of them names stays as it is."""
    served = opening()
    upsert(served, "a", "b", "c", "d")
    served.shard.freeze().result(10)
    real = files.fsync_path

    def fail_for_the_folder(path):
        if path == tmp_path:
            raise OSError(errno.EIO, "Input/output error")
        real(path)

    monkeypatch.setattr(files, "fsync_path", fail_for_the_folder)
    with pytest.raises(OSError, match="may be lost"):
        served.maintenance.step()
    monkeypatch.setattr(files, "fsync_path", real)
    served.shard.write(operations.DeleteIds("", ["a"])).result(10)
    monkeypatch.setattr(manifest, "write", lambda *_: pytest.fail("the process would be killed here"))
    with pytest.raises(errors.ShardError, match="until a restart"):
        served.maintenance.step()
    monkeypatch.undo()
    upsert(served, "e")
    served.close()
    assert ids_of(opening()) == ["b", "c", "d", "e"]


def test_a_full_disk_refuses_upserts_and_resumes_by_itself(opening, monkeypatch):
    """Refused with the reason, reads and deletes go on, and the refusal ends when there is room again."""
    served = opening()
    upsert(served, "a", "b")
    monkeypatch.setattr(guard, "volume_of", lambda _: disk.Volume(1 << 40, -1))
    with pytest.raises(errors.StorageFullError, match="upserts and updates are refused"):
        upsert(served, "c")
    assert "upserts and updates are refused" in served.shard.refusal
    assert ids_of(served) == ["a", "b"]
    served.maintenance.step()
    assert served.shard.refusal
    monkeypatch.setattr(guard, "volume_of", lambda _: disk.Volume(1 << 40, 1 << 40))
    served.maintenance.step()
    assert served.shard.refusal == ""
    upsert(served, "c")
    assert ids_of(served) == ["a", "b", "c"]


def test_no_room_in_the_log_loses_nothing(opening, monkeypatch):
    """A write that found the volume full leaves no trace, and a restart sees what was acknowledged."""
    served = opening()
    upsert(served, "a")
    real = os.pwrite

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(errors.StorageFullError):
        upsert(served, "b")
    monkeypatch.setattr(os, "pwrite", real)
    upsert(served, "c")
    served.close()
    assert ids_of(opening()) == ["a", "c"]


def test_a_failed_build_is_told_and_tried_again(opening):
    """Rows stay searchable and writable, the reason is the builder's last word."""
    served = opening(start_builder=Failing)
    for number in range(3):
        upsert(served, *(f"{number}-{row}" for row in range(4)))
    while not served.maintenance.building:
        served.maintenance.step()
    with pytest.raises(errors.ShardError, match="MemoryError: no more"):
        served.maintenance.step()
    assert not served.maintenance.building
    assert len(ids_of(served)) == 12
    upsert(served, "more")


def test_rest_settles_all_rows_in_one_graph_and_cuts_the_log(opening, tmp_path):
    """After a few steps nothing waits, one segment is left, and a restart replays nothing."""
    served = opening()
    for number in range(9):
        upsert(served, *(f"{number}-{row}" for row in range(4)), x=number)
        served.maintenance.step()
    for _ in range(12):
        served.maintenance.step()
    assert served.maintenance.waiting_rows() == 0
    assert [view.segment.engine is not None for view in served.shard.snapshot.sealed] == [True]
    assert len(log_files.paths(tmp_path / shard.LOG)) == 1
    served.close()
    replayed = opening().shard.snapshot
    assert replayed.growing[0].live_rows == 0
    assert (replayed.live_rows, replayed.seq) == (36, 9)


def updated(served, **fields):
    """Merge fields into the metadata of row a."""
    return served.shard.write(operations.Update("", "a", None, fields)).result(10)


def test_metadata_that_updates_add_up_has_the_limit_of_metadata(opening):
    """What the row would have is counted, in bytes; a refused update changes nothing, and writes go on."""
    served = opening()
    upsert(served, "a")
    assert updated(served, x="é" * 10_000).affected == 1
    with pytest.raises(errors.BadRequestError, match=r'id "a" would have 40961 bytes .* 40960'):
        updated(served, y="é" * 10_472 + "aa")
    assert updated(served, y="é" * 10_472 + "a").affected == 1
    assert served.shard.refusal == ""


def test_no_cosine_is_beyond_one(opening):
    """Scores that float32's rounding carries past 1 and -1 are brought back; other metrics have no bounds."""
    rows = np.random.default_rng(1).standard_normal((200, 4)).astype(np.float32)
    served = opening(index_of(dimensions=4))
    served.shard.write(
        operations.Upsert("", records.Rows([str(row) for row in range(200)], rows, [b""] * 200))
    ).result(10)
    state = served.shard.snapshot
    sides = np.concatenate([rows, -rows])
    question = part.Question("", state.comparable(sides), 200, None, 64, exact=True)
    scores = np.concatenate([found for found, _ in state.search(question)])
    assert (scores.min(), scores.max()) == (-1, 1)


def request(**fields):
    """Return an upsert of some rows."""
    return shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=shard_pb2.Rows(**fields)))


SHAPE = shape.Shape(config.Metric.COSINE, 2)
ONE = np.ones(2, "<f4").tobytes()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (shard_pb2.WriteRequest(), "one of upsert, update or delete"),
        (shard_pb2.WriteRequest(delete=shard_pb2.Delete()), "one of ids, filter, or all"),
        (shard_pb2.WriteRequest(delete=shard_pb2.Delete(all=False)), "one of ids, filter, or all"),
        (shard_pb2.WriteRequest(namespace="a\0b", delete=shard_pb2.Delete(all=True)), "NUL"),
        (request(), "at least one row"),
        (request(ids=["a"], vectors=ONE + ONE[:4]), "2 dimensions; 1 vectors came with 3 dimensions each"),
        (request(ids=["a"], vectors=ONE[:5]), "5 bytes"),
        (request(ids=["a", "b"], vectors=ONE + np.array([np.nan, 1], "<f4").tobytes()), "vector 1 holds NaN"),
        (request(ids=["a"], vectors=np.array([np.inf, 1], "<f4").tobytes()), "infinity"),
        (request(ids=["a"], vectors=bytes(8)), "vector 0 is all zeros"),
        (request(ids=[""], vectors=ONE), "0 characters"),
        (request(ids=["x" * 513], vectors=ONE), "513 characters"),
        (request(ids=["a"], vectors=ONE, metadata=[b"[1]"]), 'metadata of id "a" is not a JSON object'),
        (request(ids=["a"], vectors=ONE, metadata=[b"{", b"{}"]), "1 ids came with 2 metadata"),
        (shard_pb2.WriteRequest(update=shard_pb2.Update(id="a", vector=bytes(8))), "all zeros"),
    ],
)
def test_a_write_that_can_never_succeed_is_refused_whole(sent, said):
    """Each limit has an error that says what was sent and what would be right."""
    with pytest.raises(errors.BadRequestError, match=said):
        operations.parse(sent, SHAPE)


@pytest.mark.parametrize("value", [3e38, 1e-45, -3e38])
@pytest.mark.parametrize("rows", [1, 2])
def test_every_finite_number_is_taken_and_compared(value, rows):
    """Squares that overflow or vanish in float32 make no vector infinite or zero."""
    vectors = shape.parse_vectors(np.full((rows, 2), value, "<f4").tobytes(), rows, SHAPE)
    compared = base.comparable(SHAPE.metric, vectors)
    assert compared == pytest.approx(np.full((rows, 2), np.sign(value) * 0.5**0.5), abs=1e-6)


@pytest.mark.parametrize("metric", ["dotproduct", "euclidean"])
@pytest.mark.parametrize("rows", [1, 2])
def test_a_vector_whose_scores_would_overflow_is_refused(metric, rows):
    """Where lengths count; the limit leaves room for weights and sums of many tokens."""
    within = shape.Shape(config.Metric(metric), 2)
    long = np.ones((rows, 2), "<f4")
    long[-1] = [1.1e15, 0]
    with pytest.raises(
        errors.BadRequestError, match=rf"vector {rows - 1} has length 1.1e\+15; .* at most 1e\+15"
    ):
        shape.parse_vectors(long.tobytes(), rows, within)
    long[-1] = 3e38
    with pytest.raises(errors.BadRequestError, match="has length"):
        shape.parse_vectors(long.tobytes(), rows, within)
    long[-1] = [0.99e15, 0]
    assert shape.parse_vectors(long.tobytes(), rows, within).tolist() == long.tolist()


def test_of_a_repeated_id_the_last_row_counts():
    """Within one request, with its own vector and metadata."""
    vectors = np.arange(6, dtype="<f4").reshape(3, 2) + 1
    sent = request(ids=["a", "b", "a"], vectors=vectors.tobytes(), metadata=[b'{"n":1}', b"", b'{"n":3}'])
    rows = operations.parse(sent, SHAPE).rows
    assert rows.ids == ["a", "b"]
    assert rows.vectors.tolist() == [[5, 6], [3, 4]]
    assert rows.metadata == [b'{"n":3}', b""]


def test_keys_of_one_hash_function():
    """The stored hash is the placement's, which a gateway uses too."""
    assert keys.keys_of("ns", ["a"]).hashes[0] == 17_974_547_982_956_357_133


def test_the_empty_namespace_has_the_name_that_gateways_show():
    """One label for one namespace in every process's metrics, so that they can be joined."""
    assert metrics.bounded({"": 2, "n": 1}) == {"__default__": 2, "n": 1}


def test_a_namespace_label_is_one_of_a_hundred():
    """The largest keep their name, the others are added up."""
    counts = {f"n{number:03}": 1_000 - number for number in range(150)}
    shown = metrics.bounded(counts)
    assert len(shown) == metrics.MAX_NAMESPACES + 1
    assert shown["n000"] == 1_000
    assert shown[metrics.OTHER_NAMESPACES] == sum(1_000 - number for number in range(100, 150))


def test_segments_are_merged_though_one_always_waits_to_be_flushed(opening):
    """Writes that fill a segment between any two looks of maintenance don't keep it from its other work."""
    busy = TUNING.model_copy(update={"settle_seconds": 3_600.0, "unindexed_bytes": 1})
    served = opening(tuning=busy)
    for number in range(20):
        upsert(served, *(f"{number}-{row}" for row in range(4)), x=float(number))
        served.shard.freeze().result(10)
        if number:
            served.maintenance.step()
    assert len(served.shard.snapshot.growing) > 1
    assert len(served.shard.snapshot.sealed) < 10
    assert len(ids_of(served)) == 80


def test_the_log_is_looked_at_once_in_a_while_and_at_once_where_room_is_short(opening, monkeypatch):
    """A look lists and measures its files, beside searches; without room nothing is kept that is covered."""
    served = opening()
    looks, now = [], [1_000.0]
    monkeypatch.setattr(served.shard, "trim_log", looks.append)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for passed, free, expected in (
        (0, 40, 1),
        (0.5, 40, 1),
        (0.6, 40, 2),
        (0.1, -1, 2),
        (0.1, -1, 3),
        (0.1, -1, 4),
    ):
        now[0] += passed
        monkeypatch.setattr(guard, "volume_of", lambda _, free=free: disk.Volume(1 << 40, free << 34))
        served.maintenance.step()
        assert len(looks) == expected
