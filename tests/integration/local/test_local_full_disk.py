"""A replica's volume fills up, on a whole index with its operator; needs the right to mount."""

import os
import shutil
import signal

import pytest
from replicated import volume

from vectorfleet_operator import ports
from vectorfleet_operator.adapters.local import folder, store, volumes

SHARD = "roomy-g1-s0"


@pytest.fixture
def small(local, tmp_path):
    """The index `roomy`, up, each of whose three replicas has a volume that can be full, by name."""
    manifest = local.manifest("roomy", shards=1, replicas=3)
    assert local.up(manifest).returncode == 0
    local.kill_supervisor()
    for name, pid in local.pids("roomy").items():
        if name.startswith(SHARD):
            os.kill(pid, signal.SIGKILL)
    mounted = {}
    try:
        for claim in volumes.claims(folder.Folder(local.state)):
            mounted[claim.pod[1]] = _mount(claim.path, tmp_path / claim.pod[1])
        assert local.up(manifest).returncode == 0
        local.wait_until(lambda: all(pod.ready for pod in local.seen("roomy").pods), 120)
        yield mounted
    finally:
        local.run("down")
        for one in mounted.values():
            one.close()


def _mount(path, aside):
    """Let a folder be a volume of its own, with what it holds."""
    shutil.copytree(path, aside)
    try:
        made = volume.Volume(path)
    except PermissionError as refused:
        pytest.skip(str(refused))
    shutil.copytree(aside, path, dirs_exist_ok=True)
    return made


def shard(local):
    """Return the VectorShard's status."""
    [found] = store.read(folder.Folder(local.state).objects, ports.VECTOR_SHARD)
    return found["status"]


def test_r07_a_primary_whose_disk_is_full_hands_over(local, small):
    """Another one with room leads, and writes go on; where none has room the status says what would help."""
    before = shard(local)["configuration"]
    small[before["primary"]].fill()
    with local.client("roomy") as client:
        local.wait_until(lambda: shard(local)["configuration"]["primary"] != before["primary"], 90)
        client.upsert([("a", [1.0] * 8)])
        after = shard(local)["configuration"]
        assert len(after["members"]) == 3
        small[after["primary"]].fill()
        local.wait_until(lambda: "NoRoom" in _told(local), 90)
        assert "1 of 3 members have some, where a write needs 2" in _told(local)["NoRoom"]
        assert shard(local)["configuration"] == after
        small[before["primary"]].make_room()
        local.wait_until(lambda: shard(local)["configuration"]["primary"] != after["primary"], 90)
        client.upsert([("b", [2.0] * 8)])
        assert set(client.fetch(["a", "b"]).vectors) == {"a", "b"}
    for one in small.values():
        one.make_room()


def _told(local):
    """Return the messages of the index's conditions that hold, by their reasons."""
    [index] = store.read(folder.Folder(local.state).objects, ports.VECTOR_INDEX)
    return {one["reason"]: one["message"] for one in index["status"]["conditions"] if one["status"] == "True"}
