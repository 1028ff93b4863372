"""Memory that runs out: a node in a real memory cgroup, and starts under limits that are too small."""

import os
import pathlib
import signal
import time

import grpc
import numpy as np
import pytest

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.api import shard_pb2 as pb

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


def wait_until(is_so, seconds=60):
    """Wait for something that comes by itself."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
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

    Metadata that never repeats is the dearest there is: filters keep it twice.
    """
    node = make_limited(index_min_rows=1_000_000, growing_rows=1_000_000, growing_bytes=1 << 40)
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
    wait_until(lambda: "MemoryPressure" not in conditions(stub))
    assert stub.Stats(pb.StatsRequest()).namespaces == {"": len(acknowledged) - half + 500}
    assert cgroup.kills() == 0
    assert node.end() == 0


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
