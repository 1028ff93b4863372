"""What may happen to replicas, on a whole index with its operator. Each test builds on the last."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import threading
import time

import numpy as np
import pytest
from replicated import damaging

import vectorfleet
from vectorfleet_operator import ports
from vectorfleet_operator.adapters.local import folder, store, volumes
from vectorfleet_shardnode import identity

SHARD = "trio-g1-s0"
CHANGED = {"resources": {"requests": {"memory": "64Mi"}}}  # another template of the shards' pods
ROWS = np.random.default_rng(3).random((5_000, 8), dtype=np.float32)


@pytest.fixture(scope="module")
def trio(local):
    """The index `trio`, up: one shard of three replicas."""
    up(local)
    return local


def wanted(local, **spec):
    """Return its manifest."""
    return local.manifest("trio", shards=1, replicas=3, **spec)


def up(local, **spec):
    """Bring it up, or to what has changed."""
    done = local.up(wanted(local, **spec))
    assert done.returncode == 0, done.stderr


def status(local):
    """Return what the VectorShard says."""
    [found] = store.read(folder.Folder(local.state).objects, ports.VECTOR_SHARD)
    return found["status"]


def client_of(local, consistency="session", **how):
    """Return the SDK on the index; usually it sees at least what it has written itself."""
    found = local.seen("trio")
    key = pathlib.Path(found.api_key_file).read_text()
    return vectorfleet.Client(found.endpoint, key, consistency=consistency, **how)


@dataclasses.dataclass
class Load:
    """A client that writes and reads one row after another; `failed` is what it was told instead."""

    client: vectorfleet.Client
    written: int = 0
    failed: list = dataclasses.field(default_factory=list)
    stopping: threading.Event = dataclasses.field(default_factory=threading.Event)

    def run(self):
        """Write until told to stop."""
        while not self.stopping.is_set():
            row = self.written
            try:
                self.client.upsert([(f"r{row}", ROWS[row])])
                self.written += 1
                assert self.client.fetch([f"r{row}"]).vectors, "a write of this client is not seen"
            except Exception as failure:  # noqa: BLE001 (whatever a client is told)
                self.failed.append(failure)
            time.sleep(0.005)


@contextlib.contextmanager
def load(local):
    """Write while something else is done."""
    with client_of(local) as client:
        made = Load(client)
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield made
        finally:
            made.stopping.set()
            thread.join(60)


def expect_rows(local, count):
    """The rows that were written are there."""
    with client_of(local) as client:
        ids = [f"r{row}" for row in range(count)]
        found = {}
        for first in range(0, count, 500):
            found |= client.fetch(ids[first : first + 500]).vectors
    assert all(np.array_equal(found[row].values, ROWS[number]) for number, row in enumerate(ids))


def test_r19_a_rolling_restart_fails_no_request(trio):
    """Each pod is made anew, one at a time, the primary's after a handover; a client notices nothing."""
    before = trio.pids("trio")
    with load(trio) as made:
        up(trio, **CHANGED)
    after = trio.pids("trio")
    shards = [name for name in before if name.startswith(SHARD)]
    assert len(shards) == 3
    assert all(after[name] != before[name] for name in shards)
    assert made.failed == []
    assert made.written > 5
    expect_rows(trio, made.written)


@pytest.mark.parametrize("who", ["primary", "follower"])
def test_r03_a_flipped_bit_beside_sound_copies_is_filled_again(trio, who):
    """A bit of acknowledged records flips, and the process dies: it is led without, filled, and a member."""
    configuration, pids = status(trio)["configuration"], trio.pids("trio")
    leads = configuration["primary"]
    name = next(one for one in pids if one.startswith(SHARD) and (one == leads) == (who == "primary"))
    old = disk_of(configuration, name)
    [volume] = [one.path for one in volumes.claims(folder.Folder(trio.state)) if one.pod[1] == name]
    [data] = [path.parent for path in volume.rglob(identity.FILE_NAME)]
    with load(trio) as made:
        trio.wait_until(lambda: made.written > 20)
        os.kill(pids[name], signal.SIGSTOP)  # or it may be started anew before the bit has flipped
        damaging.flip_in_log(data)
        os.kill(pids[name], signal.SIGKILL)
        trio.wait_until(lambda: disk_of(status(trio)["configuration"], name) not in ("", old), 120)
        then = made.written
        trio.wait_until(lambda: made.written > then + 20)
    assert made.failed == []
    trio.wait_until(lambda: not told(trio, "ReplicaDamaged"))
    assert identity.read(data).uid == disk_of(status(trio)["configuration"], name)
    expect_rows(trio, made.written)


def disk_of(configuration, name):
    """Return the disk of a member, empty where it is none."""
    return next((one["disk"] for one in configuration["members"] if one["name"] == name), "")


def test_r21_processes_die_while_there_is_no_operator(trio):
    """Reads go on, and writes while a quorum is there; the operator that comes back makes it whole."""
    expected = wanted(trio, **CHANGED)
    primary = status(trio)["configuration"]["primary"]
    epoch, pids = status(trio)["configuration"]["epoch"], trio.pids("trio")
    others = [name for name in pids if name.startswith(SHARD) and name != primary]
    trio.kill_supervisor()
    with client_of(trio) as client:
        os.kill(pids[others[0]], signal.SIGKILL)
        client.upsert([("alone", ROWS[0] + 9)])
        assert client.fetch(["alone"]).vectors
        os.kill(pids[primary], signal.SIGKILL)
    with client_of(trio, "eventual") as client:
        assert client.fetch(["r0"]).vectors, "one replica is left to read from"
    assert status(trio)["configuration"]["epoch"] == epoch, "nobody is there to change it"
    assert trio.up(expected).returncode == 0
    with client_of(trio, "strong") as client:
        assert client.fetch(["alone"]).vectors
        client.delete(["alone"])
    killed = {pids[others[0]], pids[primary]}
    trio.wait_until(lambda: not killed & set(trio.pids("trio").values()))
    trio.wait_until(lambda: all(pod.ready for pod in trio.seen("trio").pods))


def test_r18_a_shard_whose_disks_are_all_lost_is_not_begun_anew(trio):
    """It is lost, and says so with what to do; nothing is served as if it were empty."""
    trio.kill_supervisor()
    for name, pid in trio.pids("trio").items():
        if name.startswith(SHARD):
            os.kill(pid, signal.SIGKILL)
    for claim in volumes.claims(folder.Folder(trio.state)):
        if claim.pod[1].startswith(SHARD):
            wipe(claim.path)
    before = status(trio)["configuration"]
    manifests = str(trio.folder / "manifests.yaml")
    trio.run("up", "-f", manifests, "--timeout", "15")  # it may still be told what was true before
    trio.wait_until(lambda: "acknowledged writes may be lost" in told(trio, "ShardLost"), 90)
    assert trio.run("up", "-f", manifests, "--timeout", "2").returncode == 1
    assert status(trio)["configuration"] == before
    with client_of(trio, timeout=2.0) as client, pytest.raises(vectorfleet.VectorfleetError):
        client.upsert([("new", ROWS[0])])


def told(local, condition):
    """Return what a condition of the shard says, empty where it does not hold."""
    holds = (one for one in status(local)["conditions"] if one["status"] == "True")
    return next((one["message"] for one in holds if one["type"] == condition), "")


def wipe(path):
    """Remove what a volume holds, and leave the volume."""
    for inside in path.rglob("*"):
        if inside.is_file() and inside.name != volumes.META:
            inside.unlink()
