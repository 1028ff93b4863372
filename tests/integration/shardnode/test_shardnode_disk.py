"""A volume that fills up or fails: writes are refused, reads go on, and nothing that was answered is lost.

Where there is no room, writes resume when there is room again; where an fsync failed, only a restart helps.
"""

import subprocess
import time

import grpc
import numpy as np
import pytest
from crashing import history, recorded

from vectorfleet_shardnode.api import shard_pb2 as pb


@pytest.fixture
def small_volume(tmp_path):
    """A file system of 8 MiB at the node's data folder."""
    volume = tmp_path / "data"
    volume.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(volume)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield volume
    subprocess.run(["umount", "--lazy", str(volume)], check=True)


@pytest.mark.parametrize("reserved", [0, 2 << 20])
def test_r07_a_full_volume_refuses_writes_until_there_is_room(small_volume, make_node, reserved):
    """With space kept back and without: what was acknowledged is served, before and after a restart."""
    (small_volume / "ballast").write_bytes(bytes(5 << 20))
    node = make_node(dimensions=64, reserved_bytes=reserved, growing_rows=200)
    stub = node.serve()
    acknowledged, status = fill(stub)
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert acknowledged
    assert stub.Report(pb.ReportRequest()).problem
    assert stub.Stats(pb.StatsRequest()).namespaces == {"": len(acknowledged)}
    assert len(stub.Fetch(pb.FetchRequest(ids=acknowledged)).rows.ids) == len(acknowledged)

    (small_volume / "ballast").unlink()
    deadline = time.monotonic() + 20
    while stub.Report(pb.ReportRequest()).problem:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    acknowledged += write(stub, 1_000)
    assert node.end() == 0
    assert node.serve().Stats(pb.StatsRequest()).namespaces == {"": len(acknowledged)}


def fill(stub):
    """Write until a write is refused; returns the ids that were acknowledged, and the refusal's status."""
    acknowledged = []
    for number in range(200):
        try:
            acknowledged += write(stub, number)
        except grpc.RpcError as refused:
            return acknowledged, refused.code()
    return acknowledged, grpc.StatusCode.OK


def write(stub, number, dimensions=64):
    """Write 100 rows; returns their ids."""
    ids = [f"{number}-{row}" for row in range(100)]
    rows = pb.Rows(ids=ids, vectors=np.full((100, dimensions), number, "<f4").tobytes())
    stub.Write(pb.WriteRequest(upsert=pb.Upsert(rows=rows)))
    return ids


@pytest.fixture
def life(journal_library, tmp_path):
    """A node whose fsyncs can be made to fail."""
    made = recorded.Recorded(tmp_path, journal_library)
    yield made
    made.server.close()


def test_r08_an_fsync_that_fails_is_fatal_for_the_log(life):
    """Nothing that waited for it is answered, nor anything later, though the disk works again; reads go on.

    A restart takes writes again.
    """
    stub = life.node.serve()
    clients = history.start(stub, [{}] * 3, "r08")
    time.sleep(0.5)
    life.control.write_text("/log/")
    for client in clients:
        client.join(20)
        assert client.failure.code() is grpc.StatusCode.DATA_LOSS
        assert "writes are refused until a restart" in client.failure.details()
    life.control.unlink()
    with pytest.raises(grpc.RpcError, match="until a restart"):
        write(stub, 1, 8)
    assert "until a restart" in stub.Report(pb.ReportRequest()).problem
    assert history.check(stub, clients) == [client.rows for client in clients]
    life.node.kill()
    life.node.wait()
    stub = life.node.serve()
    rows = history.check(stub, clients)
    again = history.start(stub, rows, "r08 again")
    time.sleep(0.3)
    stop(again)
    history.check(stub, again)


def test_an_fsync_of_a_segment_that_fails_is_told_and_made_up_for(life):
    """The log holds the rows, so writes go on; what is not durable is written anew, and not named before."""
    life.control.write_text("/build/")
    stub = life.node.serve()
    clients = history.start(stub, [{}] * 3, "segments")
    wait_until(lambda: "segments can't be written" in stub.Report(pb.ReportRequest()).problem)
    assert not (life.node.data / "manifest.json").exists()
    life.control.unlink()
    wait_until(lambda: not stub.Report(pb.ReportRequest()).problem)
    stop(clients)
    assert stub.Report(pb.ReportRequest()).segments
    history.check(stub, clients)
    life.node.kill()
    life.node.wait()
    history.check(life.node.serve(), clients)


def stop(clients):
    """Let clients finish; none of their calls failed."""
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join()
        assert client.failure is None


def wait_until(is_so):
    """Wait for something that comes by itself."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
