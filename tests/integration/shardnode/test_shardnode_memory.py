"""Memory that runs out: a node in a real memory cgroup, and starts under limits that are too small."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import grpc
import numpy as np
import pytest

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.api import shard_pb2 as pb
from vectorfleet_shardnode.limits import meter

MIB = 1 << 20
DIMENSIONS = 256
ROOT = pathlib.Path("/sys/fs/cgroup")


class Cgroup:
    """A memory cgroup, of version 1 or 2, that processes can be put into."""

    def __init__(self, folder, limit):
        self.folder, self.limit = folder, 1 << 62
        folder.mkdir()
        self.allow(limit)

    def allow(self, limit):
        """Set the limit, swap included where there is some; version 1 wants the larger of the two first."""
        paths = [self.folder / name for name in ("memory.memsw.limit_in_bytes", "memory.limit_in_bytes")]
        if limit < self.limit:
            paths.reverse()
        self.limit = limit
        for path in [*paths, self.folder / "memory.max"]:
            if path.exists():
                path.write_text(str(limit))
        if (self.folder / "memory.swap.max").exists():
            (self.folder / "memory.swap.max").write_text("0")

    def join(self):
        """Put this process into it; for a child between fork and exec."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self):
        """Return how many processes the kernel has killed here for lack of memory."""
        for name in ("memory.oom_control", "memory.events"):
            if (self.folder / name).exists():
                lines = (line.split() for line in (self.folder / name).read_text().splitlines())
                return next(int(value) for key, value in lines if key == "oom_kill")
        return 0

    def remove(self):
        """Remove it; what was in it has ended, or is about to."""
        for _ in range(100):
            try:
                self.folder.rmdir()
            except OSError:
                time.sleep(0.1)
            else:
                return


@pytest.fixture
def cgroup():
    """A cgroup of 400 MiB."""
    parent = ROOT / "memory" if (ROOT / "memory").is_dir() else ROOT
    try:
        made = Cgroup(parent / f"vectorfleet-test-{os.getpid()}-{time.monotonic_ns()}", 400 * MIB)
    except (OSError, ValueError) as refused:
        pytest.skip(f"a memory cgroup can't be made here: {refused}")
    yield made
    made.remove()


def rows_of(number, count, metadata=b""):
    """Return a write of rows with vectors of their own."""
    vectors = np.random.default_rng(number).standard_normal((count, DIMENSIONS), np.float32)
    ids = [f"{number}-{row}" for row in range(count)]
    rows = pb.Rows(ids=ids, vectors=vectors.tobytes(), metadata=[metadata] * count)
    return ids, pb.WriteRequest(upsert=pb.Upsert(rows=rows))


def conditions(stub):
    """Return the reasons that are reported, by type."""
    return {one.type: one.reason for one in stub.Report(pb.ReportRequest()).conditions}


def wait_until(is_so, seconds=60, told=lambda: ""):
    """Wait for something that comes by itself; `told` says what there is where it doesn't."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, told()
        time.sleep(0.1)


@pytest.fixture
def make_limited(cgroup, make_node):
    """Make a node that starts in the cgroup."""

    def make(**options):
        node = make_node(dimensions=DIMENSIONS, metric=config.Metric.COSINE, build_threads=1, **options)
        node.preparation = cgroup.join
        return node

    return make


def test_writes_stop_before_memory_runs_out_and_resume_when_rows_are_gone(make_limited, cgroup):
    """Nobody is killed; reads and deletes go on, and a refusal and the condition name the limit.

    Metadata that never repeats is the dearest there is: filters keep it twice. Nothing is sealed meanwhile:
    half of it would be dead, and a merge that waits for memory is told as well.
    """
    node = make_limited(
        index_min_rows=1_000_000, growing_rows=1_000_000, growing_bytes=1 << 40, settle_seconds=3_600
    )
    stub = node.serve()
    assert stub.Report(pb.ReportRequest()).memory_limit_bytes == 400 * MIB
    acknowledged, refusal = [], None
    for number in range(400):
        ids, request = rows_of(number, 500, b'{"text": "%s"}' % (b"x" * 200))
        try:
            stub.Write(request)
        except grpc.RpcError as refused:
            refusal = refused
            break
        acknowledged += ids
    assert refusal is not None
    assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "of 400 MiB are in use" in refusal.details()
    assert "raise spec.resources.limits.memory" in refusal.details()
    assert conditions(stub)["MemoryPressure"] == "SoftLimit"
    assert stub.Stats(pb.StatsRequest()).namespaces == {"": len(acknowledged)}
    vector = np.ones(DIMENSIONS, "<f4").tobytes()
    [found] = stub.Search(pb.SearchRequest(queries=[pb.Query(vector=vector, top_k=10)])).results
    assert len(found.rows.ids) == 10

    half = len(acknowledged) // 2
    stub.Write(pb.WriteRequest(delete=pb.Delete(ids=pb.Ids(ids=acknowledged[:half]))))
    wait_until(lambda: not stub.Report(pb.ReportRequest()).problem)
    ids, request = rows_of(1_000, 500)
    stub.Write(request)
    wait_until(lambda: "MemoryPressure" not in conditions(stub), told=lambda: conditions(stub))
    assert stub.Stats(pb.StatsRequest()).namespaces == {"": len(acknowledged) - half + 500}
    assert cgroup.kills() == 0
    assert node.end() == 0


@contextlib.contextmanager
def ballast(cgroup, size):
    """A neighbour in the cgroup that holds so many bytes."""
    program = "import sys; held = b'x' * int(sys.argv[1]); print(len(held), flush=True); sys.stdin.read()"
    neighbour = subprocess.Popen(
        [sys.executable, "-S", "-c", program, str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=cgroup.join,  # noqa: PLW1509 (it starts no thread and takes no lock)
    )
    assert int(neighbour.stdout.readline()) == size
    yield
    neighbour.communicate()


def test_a_merge_waits_until_there_is_memory_for_it(make_limited, cgroup):
    """MergePostponed while it would not fit: writes and exact searches go on. It is merged by itself then."""
    node = make_limited(index_min_rows=100, settle_seconds=0.1)
    stub = node.serve()
    with ballast(cgroup, 310 * MIB - meter.anonymous_bytes(node.process.pid)):
        stub.Write(rows_of(0, 2_000)[1])
        wait_until(lambda: conditions(stub) == {"MemoryPressure": "MergePostponed"})
        [told] = stub.Report(pb.ReportRequest()).conditions
        assert "a merge of segments takes" in told.message
        assert "it waits, and more rows are searched exactly meanwhile" in told.message
        stub.Write(rows_of(1, 100)[1])
        wait_until(lambda: stub.Report(pb.ReportRequest()).segments == 2)
        assert stub.Report(pb.ReportRequest()).unindexed_rows == 2_100
        assert conditions(stub) == {"MemoryPressure": "MergePostponed"}
        vector = np.random.default_rng(1).standard_normal((1, DIMENSIONS), np.float32)
        [found] = stub.Search(pb.SearchRequest(queries=[pb.Query(vector=vector.tobytes(), top_k=1)])).results
        assert list(found.rows.ids) == ["1-0"]
    wait_until(lambda: not stub.Report(pb.ReportRequest()).unindexed_rows)
    wait_until(lambda: conditions(stub) == {})
    assert stub.Stats(pb.StatsRequest()).namespaces == {"": 2_100}
    assert cgroup.kills() == 0


def kill_while_it_loads(node, times):
    """Start a node that is killed before it serves, so often."""
    node.environment |= {"VECTORFLEET_FAILPOINT": "recovery.before-cut:1"}
    for _ in range(times):
        node.start()
        assert node.process.wait(30) == -signal.SIGKILL
        node.process.stderr.close()
    del node.environment["VECTORFLEET_FAILPOINT"]


def test_r09_starts_that_are_killed_end_in_one_that_serves_without_graphs(make_limited):
    """Though all was thought to fit: the fourth says so, searches exactly, and takes nothing but deletes.

    Raising the limit ends it.
    """
    node = make_limited(index_min_rows=100)
    stub = node.serve()
    ids, request = rows_of(0, 2_000)
    stub.Write(request)
    wait_until(lambda: not stub.Report(pb.ReportRequest()).unindexed_rows)
    query = pb.Query(vector=np.ones(DIMENSIONS, "<f4").tobytes(), top_k=20, exact=True)
    [before] = stub.Search(pb.SearchRequest(queries=[query])).results
    assert node.end() == 0

    kill_while_it_loads(node, 3)
    stub = node.serve()
    assert conditions(stub) == {"MemoryPressure": "GraphsNotLoaded"}
    query.exact = False
    [found] = stub.Search(pb.SearchRequest(queries=[query])).results
    assert list(found.rows.ids) == list(before.rows.ids)
    with pytest.raises(grpc.RpcError, match="3 starts were killed while they loaded"):
        stub.Write(rows_of(1, 1)[1])
    stub.Write(pb.WriteRequest(delete=pb.Delete(ids=pb.Ids(ids=ids[:10]))))
    assert stub.Stats(pb.StatsRequest()).namespaces == {"": 1_990}
    assert node.end() == 0

    kill_while_it_loads(node, 3)
    node.environment |= {"VECTORFLEET_MEMORY_BYTES": str(390 * MIB)}
    stub = node.serve()
    assert conditions(stub) == {}
    stub.Write(rows_of(1, 1)[1])
    assert stub.Stats(pb.StatsRequest()).namespaces == {"": 1_991}


def test_r09_a_start_whose_log_does_not_fit_says_why_and_stays(make_limited, cgroup):
    """Unready with the reason, in the report and as a condition, not killed; a larger limit serves all."""
    node = make_limited(
        growing_rows=1_000_000, growing_bytes=1 << 40, log_file_bytes=1 << 40, settle_seconds=1_000
    )
    stub = node.serve()
    for number in range(50):
        stub.Write(rows_of(number, 500)[1])
    node.end(signal.SIGKILL)

    cgroup.allow(110 * MIB)
    node.start()
    wait_until(lambda: "nothing is served" in node.health("ready")[1])
    stub = node.stub()
    report = stub.Report(pb.ReportRequest())
    assert "the memory limit is 110 MiB" in report.problem
    assert conditions(stub) == {"MemoryPressure": "TooLarge"}
    with pytest.raises(grpc.RpcError, match="nothing is served"):
        stub.Stats(pb.StatsRequest())
    assert node.process.poll() is None
    assert node.end() == 0

    cgroup.allow(400 * MIB)
    assert node.serve().Stats(pb.StatsRequest()).namespaces == {"": 25_000}
    assert cgroup.kills() == 0


def test_r09_starts_that_run_out_of_memory_end_in_one_that_says_why(make_limited, cgroup):
    """The kernel kills starts that were thought to fit; after six of them one stays and serves the reason.

    2,000 short strings a row come to far more than a start takes a log for. A larger limit serves all.
    """
    node = make_limited(
        growing_rows=1_000_000, growing_bytes=1 << 40, log_file_bytes=1 << 40, settle_seconds=1_000
    )
    cgroup.allow(1_000 * MIB)
    stub = node.serve()
    tags = json.dumps([f"{tag % 97:02}" for tag in range(2_000)]).replace(" ", "")
    for number in range(10):
        stub.Write(rows_of(number, 100, b'{"tags":%s}' % tags.encode())[1])
    node.end(signal.SIGKILL)

    cgroup.allow(130 * MIB)
    died = 0
    while not stays(node):
        died += 1
        assert died <= 6
    assert died == cgroup.kills() == 6
    _, said = node.health("ready")
    assert "nothing is served" in said
    assert "6 starts were killed while they loaded" in said
    assert conditions(node.stub()) == {"MemoryPressure": "TooLarge"}
    assert node.end() == 0

    cgroup.allow(1_000 * MIB)
    assert node.serve().Stats(pb.StatsRequest()).namespaces == {"": 1_000}
    assert cgroup.kills() == 6


def stays(node):
    """Start a node; tell whether it stays and says why it serves nothing, or the kernel ended it."""
    node.start()
    deadline = time.monotonic() + 60
    while "nothing is served" not in node.health("ready")[1]:
        if node.process.poll() is not None:
            node.process.stderr.close()
            assert node.process.returncode == -signal.SIGKILL
            return False
        assert time.monotonic() < deadline, node.health("ready")
        time.sleep(0.05)
    return True
