"""A replica whose disk refuses its promise, on a whole index with its operator: it is restarted."""

import os
import pathlib
import signal

import pytest

import vectorfleet
from vectorfleet_operator import ports
from vectorfleet_operator.adapters.local import folder, store, volumes
from vectorfleet_shardnode import files, replica_state

SHARD = "sticky-g1-s0"


@pytest.fixture
def sticky(local):
    """The index `sticky`, up: one shard of three replicas."""
    done = local.up(local.manifest("sticky", shards=1, replicas=3))
    assert done.returncode == 0, done.stderr
    return local


def shard_status(local):
    """Return what the VectorShard says."""
    [found] = store.read(folder.Folder(local.state).objects, ports.VECTOR_SHARD)
    return found["status"]


def client_of(local):
    """Return the SDK on the index; it sees what it has written itself."""
    found = local.seen("sticky")
    key = pathlib.Path(found.api_key_file).read_text()
    return vectorfleet.Client(found.endpoint, key, consistency="session")


def data_of(local, name):
    """Return a replica's data folder."""
    [volume] = [one.path for one in volumes.claims(folder.Folder(local.state)) if one.pod[1] == name]
    [found] = [path.parent for path in volume.rglob(replica_state.FILE_NAME)]
    return found


def test_a_replica_that_is_stuck_is_restarted_by_the_operator(sticky):
    """It can't store its promise while the primary hands over, and stops taking part; its pod is made anew,
    it follows again with the same disk, and nothing that was acknowledged is lost.
    """
    before, pids = shard_status(sticky)["configuration"], sticky.pids("sticky")
    name = next(one for one in pids if one.startswith(SHARD) and one != before["primary"])
    in_the_way = data_of(sticky, name) / (files.TEMPORARY + replica_state.FILE_NAME)
    said = sticky.folder / "the state"
    with client_of(sticky) as client:
        client.upsert([("a", [1.0] * 8)])
        in_the_way.mkdir()
        os.kill(pids[before["primary"]], signal.SIGTERM)  # it hands over first, so that the others promise
        sticky.wait_until(lambda: stopped_taking_part(said))
        in_the_way.rmdir()
        sticky.wait_until(lambda: sticky.pids("sticky").get(name) not in (0, None, pids[name]), 90)
        sticky.wait_until(lambda: all(pod.ready for pod in sticky.seen("sticky").pods), 90)
        client.upsert([("b", [2.0] * 8)])
        assert client.fetch(["a", "b"]).vectors.keys() == {"a", "b"}
    sticky.wait_until(lambda: not degraded(sticky), 90)
    disks = {one["name"]: one["disk"] for one in before["members"]}
    assert {one["name"]: one["disk"] for one in shard_status(sticky)["configuration"]["members"]} == disks


def stopped_taking_part(state):
    """Tell whether a replica has said so."""
    logs = (path for path in state.rglob("*.log") if SHARD in str(path))
    return any("the replica stopped taking part" in path.read_text(errors="replace") for path in logs)


def degraded(local):
    """Return whether the shard lacks a copy."""
    return any(
        one["type"] == "Degraded" and one["status"] == "True" for one in shard_status(local)["conditions"]
    )
