"""A disk that does not give a file back while a shard is opened: the process stays, says so, and tries again.

The errors come from under the process, by a library that is preloaded: reads fail with EIO, and pages of a
file that is mapped kill whoever touches them, as the kernel does it.
"""

import time

import grpc
import numpy as np
import pytest
from crashing import unreadable

from vectorfleet_shardnode.api import shard_pb2 as pb

ROWS = 300


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The compiled library."""
    return unreadable.compile_library(tmp_path_factory.mktemp("unreadable"))


@pytest.fixture
def node(make_node, library, tmp_path):
    """A shard of some segments and log files, whose process ended; it tries a disk again twice a second."""
    bounds = {"growing_rows": 60, "index_min_rows": 40, "settle_seconds": 0, "reserved_bytes": 0}
    made = make_node(log_file_bytes=4_000, log_retained_bytes=1 << 20, **bounds)
    made.environment["VECTORFLEET_DISK_RETRY_SECONDS"] = "0.5"
    made.environment |= unreadable.environment(library, tmp_path / "failing")
    stub = made.serve()
    for at in range(0, ROWS, 10):
        ids = [f"{number}" for number in range(at, at + 10)]
        rows = pb.Rows(ids=ids, vectors=np.full((10, 8), at, "<f4").tobytes())
        stub.Write(pb.WriteRequest(upsert=pb.Upsert(rows=rows)))
    wait_until(lambda: (told := stub.Report(pb.ReportRequest())).segments and not told.building)
    assert made.end() == 0
    return made


def wait_until(condition):
    """Wait for it."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def content(folder):
    """Return a folder's files, but the lock."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.mark.parametrize("file", ["identity.json", "manifest.json", "vectors.bin", "columns.arrow", "log"])
def test_r08_a_disk_that_fails_at_a_start_is_told_and_tried_again(node, tmp_path, file):
    """Path and errno are in what it says; nothing was changed; and it serves once the disk reads again."""
    newest = max((tmp_path / "data/log").glob("*.log"))
    part = newest.name if file == "log" else file
    before = content(tmp_path / "data")
    (tmp_path / "failing").write_text(part)
    node.start()
    wait_until(lambda: "the disk fails" in node.health("ready")[1])
    said = node.health("ready")[1]
    assert f"{part}: Input/output error (EIO)" in said
    assert str(tmp_path / "data") in said
    stub = node.stub()
    told = stub.Report(pb.ReportRequest())
    assert (told.refusal, told.damaged_disk) == ("DiskFailed", "")
    assert "Input/output error" in told.problem
    with pytest.raises(grpc.RpcError) as refused:
        stub.Stats(pb.StatsRequest())
    assert refused.value.code() is grpc.StatusCode.DATA_LOSS
    time.sleep(1.5)  # it has tried again by then
    assert node.process.poll() is None
    assert content(tmp_path / "data") == before
    (tmp_path / "failing").unlink()
    wait_until(lambda: node.health("ready")[0] == 200)
    assert node.stub().Stats(pb.StatsRequest()).namespaces == {"": ROWS}
    assert node.end() == 0


def test_a_log_file_that_is_only_kept_and_can_not_be_read_is_no_loss(node, tmp_path):
    """Segments hold its records: the log begins behind it."""
    oldest = min((tmp_path / "data/log").glob("*.log"))
    (tmp_path / "failing").write_text(oldest.name)
    assert node.serve().Stats(pb.StatsRequest()).namespaces == {"": ROWS}
    assert node.end() == 0
