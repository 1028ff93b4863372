"""The limits of memory and disk: what is decided, for which numbers, and with which words."""

import numpy as np
import pytest

from vectorfleet_shardnode import errors, records, settings, shape
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import memory as engine_memory
from vectorfleet_shardnode.limits import attempts, disk, estimates, guard, memory, meter
from vectorfleet_shardnode.segments import compaction, descriptor

MIB = 1 << 20
BOUNDS = memory.Bounds(1000 * MIB)


@pytest.mark.parametrize(
    ("used", "growth", "flush", "pressed", "taken"),
    [
        (840, 10, 0, False, True),
        (840, 11, 0, False, False),  # beyond the soft limit
        (840, 10, 100, False, True),
        (840, 10, 101, False, False),  # sealing it would come near the hard one
        (790, 10, 0, True, True),
        (790, 11, 0, True, False),  # once refused, more room is asked for
    ],
)
def test_a_write_is_taken_while_it_and_its_sealing_fit(used, growth, flush, pressed, taken):
    """Below 85 % of the limit, below 80 % once writes were refused, and below 95 % while it is sealed."""
    write = memory.Write(growth * MIB, flush * MIB)
    refused = memory.refusal_of_write(BOUNDS, used * MIB, write, pressed=pressed)
    assert (refused == "") is taken


def test_what_a_write_holds_meanwhile_must_fit_as_well():
    """Beside what it adds, up to the hard limit; it is gone when that segment is sealed."""
    for working, taken in ((100, True), (101, False)):
        write = memory.Write(10 * MIB, 90 * MIB, working * MIB)
        assert (memory.refusal_of_write(BOUNDS, 840 * MIB, write, pressed=False) == "") is taken


def test_a_refusal_says_how_much_is_used_and_what_to_do():
    """In words for the caller who reads nothing else."""
    refused = memory.refusal_of_write(BOUNDS, 860 * MIB, memory.Write(MIB, 2 * MIB), pressed=False)
    assert refused == (
        "memory is short: 860 MiB of 1000 MiB are in use, and this write takes 1 MiB and 2 MiB when it "
        "is sealed; upserts and updates stop at 850 MiB and go on below 800 MiB; delete rows, raise "
        "spec.resources.limits.memory, or add shards"
    )


@pytest.mark.parametrize(
    ("used", "before", "pressed"),
    [(850, False, False), (851, False, True), (801, True, True), (800, True, False)],
)
def test_pressure_ends_below_where_it_began(used, before, pressed):
    """Five points of the limit lie between, so that it does not flap."""
    assert memory.is_pressed(BOUNDS, used * MIB, before=before) is pressed


def test_without_a_limit_everything_fits():
    """However much it is."""
    none = memory.Bounds(0)
    assert memory.refusal_of_write(none, 1 << 50, memory.Write(1 << 50, 1 << 50), pressed=True) == ""
    assert memory.refusal_of_build(none, 1 << 50, 1 << 50) == ""
    assert memory.is_pressed(none, 1 << 50, before=True) is False
    assert memory.plan_start(none, memory.Load(1 << 50, 0, 0, 0), 99).mode is memory.Mode.FULL


@pytest.mark.parametrize(("used", "fits"), [(900, True), (901, False)])
def test_a_build_waits_where_it_would_come_near_the_limit(used, fits):
    """It may go beyond the soft limit, since it is how room is made."""
    assert (memory.refusal_of_build(BOUNDS, used * MIB, 50 * MIB) == "") is fits


@pytest.mark.parametrize(
    ("graphs", "replay", "died", "mode"),
    [
        (400, 100, 0, memory.Mode.FULL),
        (651, 100, 0, memory.Mode.EXACT),
        (9_000, 100, 0, memory.Mode.EXACT),
        (0, 751, 0, memory.Mode.NOTHING),
        (400, 100, 2, memory.Mode.FULL),
        (400, 100, 3, memory.Mode.EXACT),
        (400, 100, 5, memory.Mode.EXACT),
        (400, 100, 6, memory.Mode.NOTHING),
    ],
)
def test_r09_a_start_loads_what_fits(graphs, replay, died, mode):
    """All, or no graphs, or nothing; less where starts died though all was thought to fit."""
    load = memory.Load(100 * MIB, 100 * MIB, graphs * MIB, replay * MIB)
    start = memory.plan_start(BOUNDS, load, died)
    assert start.mode is mode
    assert bool(start.reason) is (mode is not memory.Mode.FULL)
    assert ("killed" in start.reason) is (died >= 3)


@pytest.mark.parametrize(
    ("size", "stored", "kept"),
    [(1_000, 500, 100), (1_000, 60, 60), (1_000, 0, 10), (50, 500, 10)],
)
def test_what_is_kept_back_of_a_volume(size, stored, kept):
    """Room for a merge of all segments, at most a tenth of the volume, and at least what is reserved."""
    bounds = disk.Bounds(10)
    assert bounds.kept_back(disk.Volume(size, 0), stored) == kept


@pytest.mark.parametrize(
    ("free", "pressed", "taken"),
    [(100, False, True), (99, False, False), (149, True, False), (150, True, True)],
)
def test_r07_writes_stop_and_resume_with_a_margin(free, pressed, taken):
    """They stop when 90 % are full, and go on at 85 %."""
    refused = disk.refusal_of_write(disk.Bounds(10), disk.Volume(1_000, free), 900, pressed=pressed)
    assert (refused == "") is taken


def test_a_merge_without_room_for_its_files_waits():
    """Half of what is reserved stays free."""
    assert disk.refusal_of_merge(disk.Bounds(100), disk.Volume(1_000, 150), 100) == ""
    assert "waits" in disk.refusal_of_merge(disk.Bounds(100), disk.Volume(1_000, 149), 100)


@pytest.mark.parametrize(
    ("metric", "copies"),
    [(config.Metric.COSINE, 2), (config.Metric.EUCLIDEAN, 1), (config.Metric.DOTPRODUCT, 1)],
)
def test_what_a_write_takes(metric, copies):
    """Under cosine vectors grow a second time, normalised; of 128 dimensions, two bits of each; 8 bytes."""
    rows = records.Rows(["a", "b"], np.zeros((2, 100), np.float32), [b"x" * 100, b""])
    write = estimates.write_of(rows, shape.Shape(metric, 100), waiting=1_000)
    assert write.growth == copies * 800 + 2 * (320 + 40) + 2 + 200
    assert write.flush == 16 * MIB + 16 * 1_100
    assert write.working == 4 * MIB + 8 * 900


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        (b"", 0),
        (b'{"a":1}', 2 * 7 + 96),
        (b'{"a":1,"b":[1,2]}', 2 * 17 + 4 * 96),
        ('{"a":"ä"}'.encode(), 5 * 10 + 96),
    ],
)
def test_what_metadata_take_follows_their_values(content, taken):
    """Twice their bytes and something for each value; characters beyond ASCII make all of a string wide."""
    assert estimates.metadata_of(content) == taken


def test_words_of_text_fields_are_counted():
    """And those of other indexes are not."""
    rows = records.Rows(["a"], np.zeros((1, 4), np.float32), [b'{"t":"one two three"}'])
    plain = estimates.write_of(rows, shape.Shape(config.Metric.EUCLIDEAN, 4), 0)
    searched = shape.Shape(config.Metric.EUCLIDEAN, 4, schema=config.Schema(text=("t",)))
    assert estimates.write_of(rows, searched, 0).growth - plain.growth == 2 * 32


def recipe(engine=config.EngineKind.HNSW):
    """Return a recipe of 100 dimensions."""
    parameters = config.HnswParameters(m=16)
    return descriptor.Recipe(metric=config.Metric.COSINE, dimensions=100, engine=engine, hnsw=parameters)


def described(rows, engine=config.EngineKind.HNSW, **sizes):
    """Return a segment's description with files of these sizes."""
    files = {
        name.replace("_", "."): descriptor.FileSum(bytes=size, sha256="") for name, size in sizes.items()
    }
    return descriptor.Descriptor(recipe=recipe(engine), rows=rows, first_seq=1, last_seq=2, files=files)


def test_what_an_open_segment_holds():
    """A graph is read whole; vectors are mapped, and wanted beside it."""
    graph = described(1_000, graph_faiss=144_000, comparable_bin=400_000, vectors_bin=400_000)
    assert estimates.resident_of(graph) == estimates.Resident(146_000, 144_000, 400_000)
    flat = described(1_000, config.EngineKind.FLAT, vectors_bin=400_000)
    assert estimates.resident_of(flat) == estimates.Resident(2_000, 0, 0)


def test_what_a_merge_takes_follows_what_is_made():
    """Half of the rows take half; a flat segment takes no vectors, an extended graph takes them twice."""
    given = [(described(2_000, columns_arrow=464_000, vectors_bin=800_000), 1_000)]
    making = config.Generation(dimensions=100, metric=config.Metric.COSINE)
    links = round(1_000 * engine_memory.links(16))
    flat = estimates.merge_of(given, None, extended=False)
    assert flat == estimates.Merged(88 * MIB + 16 * 168_000 + 2 * 232_000, 2_000, 232_000 + 168_000 + 800_000)
    built = estimates.merge_of(given, making, extended=False)
    assert built.building - flat.building == 400_000 + links
    assert built.opened - flat.opened == links
    extended = estimates.merge_of(given, making, extended=True)
    assert extended.building - built.building == 400_000


def test_a_replay_is_bounded_by_what_may_grow():
    """A long log counts no more than three full growing segments."""
    tuning = settings.Tuning(growing_rows=1_000, growing_bytes=MIB)
    wanted = shape.Shape(config.Metric.COSINE, 100)
    short = estimates.replay_of(1_000, wanted, tuning)
    assert 2_500 <= short < 5_000
    assert estimates.replay_of(1 << 40, wanted, tuning) == 3 * int(320_000 + 2.5 * MIB)


def test_without_graphs_worn_segments_become_flat():
    """The smallest that is mostly dead first; else flat segments are kept few; else nothing."""
    policy = compaction.Policy(True, 1, 10, 0.2)
    worn = compaction.Size("worn", True, 100, 101, 1)
    sound = compaction.Size("sound", True, 100, 100, 1)
    flat = [compaction.Size(f"flat{number}", False, 10, 0, 1) for number in range(16)]
    assert compaction.plan_without_graphs(policy, [sound, worn]) == compaction.Merge(("worn",), indexed=False)
    assert compaction.plan_without_graphs(policy, [sound, *flat[:15]]) is None
    merged = compaction.plan_without_graphs(policy, [sound, *flat])
    assert len(merged.names) == 16
    assert not merged.indexed


def test_use_is_counted_without_files():
    """What this process has mapped of files is not counted, what it holds itself is."""
    before = meter.family_bytes()
    held = np.ones(64 * MIB // 8)
    assert 60 * MIB < meter.family_bytes() - before < 80 * MIB
    assert held[0] == 1
    assert meter.anonymous_bytes(2**22 + 1) == 0


def test_a_configured_limit_counts_this_process():
    """0 is none at all."""
    assert meter.open_meter(0).limit == 0
    assert meter.open_meter(MIB).limit == MIB


def test_starts_that_died_are_counted_under_the_same_limit(tmp_path):
    """One that came through, or failed and could say so, ends the count; another limit begins anew."""
    killed = [attempts.begun(tmp_path, 100) for _ in range(2)]
    assert [attempt.__enter__().died for attempt in killed] == [0, 1]  # none of them leaves
    with attempts.begun(tmp_path, 200) as attempt:
        assert attempt.died == 0
    with attempts.begun(tmp_path, 100) as attempt:
        assert attempt.died == 0
    assert not list(tmp_path.iterdir())


def test_what_is_no_count_counts_nothing(tmp_path):
    """A file that was cut short, or is something else."""
    (tmp_path / attempts.FILE_NAME).write_bytes(b'{"limit": 1')
    with attempts.begun(tmp_path, 100) as attempt:
        assert attempt.died == 0


class Used:
    """How much memory is in use, as a test says."""

    def __init__(self):
        self.bytes = 0

    def __call__(self):
        return self.bytes


@pytest.fixture
def used(monkeypatch):
    """Memory in use; every reading is fresh, and the disk has room."""
    monkeypatch.setattr(guard, "_FRESH", -1)
    monkeypatch.setattr(guard, "volume_of", lambda _: disk.Volume(1 << 40, 1 << 40))
    return Used()


def test_a_guard_refuses_tells_and_forgets(tmp_path, used):
    """Refused and told above the soft limit; without a write taken again once use is low enough."""
    limits = guard.Guard(tmp_path, settings.Tuning(), meter.Meter(1000 * MIB, used))
    limits.admit(memory.Write(MIB), 0)
    used.bytes = 900 * MIB
    with pytest.raises(errors.MemoryFullError, match="900 MiB of 1000 MiB"):
        limits.admit(memory.Write(MIB), 0)
    assert [(one.type, one.reason) for one in limits.conditions()] == [("MemoryPressure", "SoftLimit")]
    used.bytes = 820 * MIB
    limits.look(0)
    assert limits.problem
    used.bytes = 700 * MIB
    limits.look(0)
    assert limits.problem == ""
    limits.admit(memory.Write(MIB), 0)


def test_what_was_let_in_counts_before_it_shows(tmp_path, used, monkeypatch):
    """A reading of use holds for a moment; writes that come meanwhile are added to it."""
    monkeypatch.setattr(guard, "_FRESH", 1_000)
    limits = guard.Guard(tmp_path, settings.Tuning(), meter.Meter(1000 * MIB, used))
    for _ in range(8):
        limits.admit(memory.Write(100 * MIB), 0)
    with pytest.raises(errors.MemoryFullError):
        limits.admit(memory.Write(100 * MIB), 0)


def test_a_merge_that_does_not_fit_is_told_until_none_waits(tmp_path, used):
    """And is thought to need more after one was killed."""
    limits = guard.Guard(tmp_path, settings.Tuning(), meter.Meter(1000 * MIB, used))
    assert limits.fits(guard.Need(500 * MIB, 0))
    limits.note_killed()
    assert not limits.fits(guard.Need(500 * MIB, 0))
    assert [one.reason for one in limits.conditions()] == ["MergePostponed"]
    limits.note_nothing_waits()
    assert limits.conditions() == []


def test_graphs_that_were_left_out_are_loaded_once_there_are_fewer(tmp_path, used):
    """A quarter must be gone, and the rest fit below where writes are taken again."""
    limits = guard.Guard(tmp_path, settings.Tuning(), meter.Meter(1000 * MIB, used), restricted="too large")
    with pytest.raises(errors.MemoryFullError, match="too large"):
        limits.admit(memory.Write(0), 0)
    assert not limits.may_load(100 * MIB)
    assert limits.may_load(75 * MIB)
    used.bytes = 726 * MIB
    assert not limits.may_load(75 * MIB)
    limits.note_loaded()
    assert limits.conditions() == []
