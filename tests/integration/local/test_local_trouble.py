"""An index here in trouble: what is lost, damaged, taken or dying. Each test builds on the last."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from vectorfleet.cli import supervisor
from vectorfleet_operator.adapters.local import folder, inbox, lock

SHARD, ROW = "frail-g1-s0-0", np.arange(8, dtype=np.float32)


@pytest.fixture(scope="module")
def frail(local):
    """The index `frail`, up, with one row on a volume that goes with it."""
    assert up(local).returncode == 0
    with local.client("frail") as client:
        client.upsert([("a", ROW)])
    return local


def up(local, *words, **how):
    """`vectorfleet up` of the index."""
    wanted = local.manifest("frail", shards=1, storage={"size": "1Gi", "deletionPolicy": "Delete"})
    path = local.folder / "frail.yaml"
    path.write_text(yaml.safe_dump(wanted))
    return local.run("up", "-f", str(path), *words, **how)


def expect_row(local):
    """The row is there."""
    with local.client("frail") as client:
        assert np.array_equal(client.fetch(["a"]).vectors["a"].values, ROW)


def expect_plain(done, said):
    """The command has failed with one line that says why, and no traceback."""
    assert done.returncode == 1
    assert done.stderr.startswith("vectorfleet: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


@pytest.mark.parametrize("kind", ["Service", "ConfigMap", "Secret", "Deployment", "StatefulSet"])
def test_owned_object_comes_back(frail, kind):
    """A deleted object is made anew within seconds, and the index serves with the row that it had."""
    path = next((frail.state / "objects" / kind / "default").iterdir())
    before = path.read_text()
    inbox.leave(folder.Folder(frail.state), inbox.Delete((kind, "default", path.stem)))
    frail.wait_until(lambda: path.exists() and path.read_text() != before, 20)
    assert up(frail).returncode == 0

    expect_row(frail)


def test_lost_file_comes_back(frail):
    """A file of an object that somebody removes is written again; no process is touched."""
    before, path = frail.pids("frail"), frail.state / "objects/VectorIndex/default/frail.json"
    path.unlink()
    frail.wait_until(path.exists, 5)

    assert frail.pids("frail") == before


def test_taken_port_is_told(frail):
    """A shard whose port somebody else has is restarted again and again; its log is named till it serves."""
    address = next(pod.address for pod in frail.seen("frail").pods if pod.name == SHARD)
    log = str(frail.state / "logs/default" / f"{SHARD}.log")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(frail.pids("frail")[SHARD], signal.SIGKILL)
        frail.wait_until(lambda: _takes(other, address))
        other.listen()
        frail.wait_until(lambda: "ended with status 2" in frail.seen("frail").message)
        told, tried = frail.run("status"), up(frail, "--timeout", "2")
    assert told.returncode == 1
    assert log in told.stdout
    assert tried.returncode == 1
    assert f"\n  {SHARD}: its process ended with status 2; see {log}\n" in tried.stderr
    assert "can't be listened on" in pathlib.Path(log).read_text()

    assert up(frail).returncode == 0
    expect_row(frail)


def _takes(other, address):
    with contextlib.suppress(OSError):
        other.bind((address, 7400))
        return True
    return False


def test_damaged_object_is_named(frail):
    """Commands end with one line that names the damaged file; put back, everything goes on."""
    before, path = frail.pids("frail"), frail.state / "objects/VectorIndex/default/frail.json"
    frail.kill_supervisor()
    whole = path.read_text()
    for damage in (whole[:50], "[]", "{}", "\0\0"):
        path.write_text(damage)
        expect_plain(frail.run("status"), str(path))
    expect_plain(frail.run("down"), str(path))
    path.write_text(whole)
    other = frail.state / "objects/StatefulSet/default/frail-g1-s0.json"
    kept = other.read_text()
    other.write_text(kept[:50])
    expect_plain(up(frail), str(other))
    other.write_text(kept)

    assert up(frail).returncode == 0
    assert frail.pids("frail") == before


def test_damaged_notes_are_made_anew(frail):
    """A process whose notes are damaged is found all the same, and never run twice."""
    frail.kill_supervisor()
    for name in ("process.json", "pod.json"):
        (frail.state / "pods/default" / SHARD / name).write_text("{")
    next(frail.state.glob("volumes/*/*/.claim.json")).write_text("{")
    assert up(frail).returncode == 0
    frail.wait_until(lambda: frail.seen("frail").ready)

    folders = [pathlib.Path(f"/proc/{pid}/environ").read_bytes() for pid in frail.processes()]
    assert len([one for one in folders if f"/{SHARD}\0".encode() in one]) == 1
    expect_row(frail)


def test_lost_workload_takes_no_data_along(frail):
    """A StatefulSet that got lost is made anew with its data, though its volume goes with the index."""
    frail.kill_supervisor()
    (frail.state / "objects/StatefulSet/default/frail-g1-s0.json").unlink()

    assert up(frail).returncode == 0
    expect_row(frail)


def test_dying_supervisor_is_followed_by_another(frail):
    """`up` right after a supervisor was told to end is carried out by the next one."""
    os.kill(frail.supervisor(), signal.SIGTERM)

    assert up(frail).returncode == 0
    assert frail.supervisor()


def test_what_lost_its_index_is_collected(frail):
    """Where only the index's file was removed while nobody looked, its objects and processes go too."""
    frail.kill_supervisor()
    (frail.state / "objects/VectorIndex/default/frail.json").unlink()
    assert frail.run("down").returncode == 0

    assert frail.processes() == []
    assert not list(frail.state.glob("objects/*/*/frail*"))
    assert not list(frail.state.glob("volumes/*/*"))


def test_up_does_not_take_an_earlier_supervisor_s_word(frail):
    """No process answers any more, and none was looked at yet: `up` waits, whatever the last status said."""
    assert up(frail).returncode == 0
    frail.kill_supervisor()
    pids = frail.pids("frail").values()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    tried = up(frail, "--timeout", "2")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)

    assert tried.returncode == 1
    assert up(frail).returncode == 0


def test_down_waits_until_a_supervisor_is_gone(local, tmp_path):
    """One that gives its lock back, and takes its time until its process ends, is waited for."""
    place = folder.Folder(tmp_path)
    told = f"""if True:
        import pathlib, signal, time
        from vectorfleet_operator.adapters.local import folder, lock
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(InterruptedError))
        try:
            with lock.hold(folder.Folder(pathlib.Path({str(tmp_path)!r}))):
                time.sleep(60)
        except InterruptedError:
            time.sleep(1)
    """
    with subprocess.Popen([sys.executable, "-c", told]) as lingering:
        local.wait_until(lambda: lock.holder(place))
        supervisor.Supervisor(place).stop()
        assert lingering.poll() is not None


def test_down_without_a_supervisor(frail):
    """`down` takes down what a dead supervisor has left."""
    assert up(frail).returncode == 0
    frail.kill_supervisor()
    assert frail.run("down").returncode == 0

    assert frail.processes() == []


@pytest.mark.parametrize("seconds", [0, 0.1, 0.3])
def test_killed_up_leaves_nothing_after_down(local, seconds):
    """`up` is killed around its start of the supervisor; `down` ends that, and the folder stays removed."""
    path = local.folder / "frail.yaml"
    path.write_text(yaml.safe_dump(local.manifest("frail", shards=1)))
    shutil.rmtree(local.state, ignore_errors=True)
    command = [
        pathlib.Path(sys.executable).parent / "vectorfleet",
        "up",
        "-f",
        str(path),
        "--state-dir",
        str(local.state),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        local.wait_until((local.state / "supervisor.log").exists)
        time.sleep(seconds)
        started.kill()
    assert local.run("down", "--delete-data").returncode == 0
    shutil.rmtree(local.state)

    assert local.processes() == []
    assert not lock.is_held(folder.Folder(local.state))
    time.sleep(1)
    assert not local.state.exists()
