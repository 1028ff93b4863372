"""A volume that fills up: writes are refused, reads go on, and writes resume when there is room again."""

import subprocess
import time

import grpc
import numpy as np
import pytest

from vectorfleet_shardnode.api import shard_pb2 as pb


@pytest.fixture
def small_volume(tmp_path):
    """A file system of 8 MiB at the node's data folder."""
    volume = tmp_path / "data"
    volume.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(volume)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs the right to mount")
    yield volume
    subprocess.run(["umount", "--lazy", str(volume)], check=True)


@pytest.mark.parametrize("reserved", [0, 2 << 20])
def test_a_full_volume_refuses_writes_until_there_is_room(small_volume, make_node, reserved):
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


def write(stub, number):
    """Write 100 rows; returns their ids."""
    ids = [f"{number}-{row}" for row in range(100)]
    rows = pb.Rows(ids=ids, vectors=np.full((100, 64), number, "<f4").tobytes())
    stub.Write(pb.WriteRequest(upsert=pb.Upsert(rows=rows)))
    return ids
