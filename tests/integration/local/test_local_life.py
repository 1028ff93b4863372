"""An index on this machine: loaded, killed, left alone, changed, taken down. Each test builds on the last."""

import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
import yaml

import vectorfleet

STORED = np.random.default_rng(5).random((400, 8), dtype=np.float32)


@pytest.fixture(scope="module")
def small(local):
    """The index `small`, up and loaded."""
    done = local.up(local.manifest())
    assert done.returncode == 0, done.stderr
    with local.client() as client:
        result = client.upsert_batch((f"r{n}", vector, {"n": n}) for n, vector in enumerate(STORED))
    assert result.successful == len(STORED)
    return local


def expect_rows(local):
    """Every row is there, bit for bit."""
    with local.client() as client:
        found = client.fetch([f"r{n}" for n in range(len(STORED))]).vectors
        assert [found[f"r{n}"].metadata["n"] for n in range(len(STORED))] == list(range(len(STORED)))
        assert all(np.array_equal(found[f"r{n}"].values, vector) for n, vector in enumerate(STORED))
        assert client.query(STORED[7], top_k=1).matches[0].id == "r7"


def test_it_serves(small):
    """What was loaded is found, and the status says so."""
    expect_rows(small)
    small.wait_until(lambda: small.index()["vectors"] == len(STORED))

    assert small.index()["ready"]
    assert {condition["type"]: condition["status"] for condition in small.index()["conditions"]} == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
    }
    assert "small" in small.run("status").stdout


def test_supervisor_tells_of_itself(small):
    """Health and metrics of the operator, on an address beside those of its pods."""
    block = json.loads((small.state / "network.json").read_text())["block"]
    with urllib.request.urlopen(f"http://{block}.1:9090/metrics", timeout=10) as answer:
        told = answer.read().decode()

    assert "vectorfleet_operator_reconcile" in told
    assert 'index="small"' in told


def test_kill_9_of_shards_loses_nothing(small):
    """Shards that are killed while rows are written come back with every row that was acknowledged."""
    written = {}
    with small.client() as client:
        for turn in range(6):
            for n in range(20):
                row_id, vector = f"k{turn}-{n}", np.full(8, turn + n / 100, np.float32)
                if n == 10:
                    os.kill(small.pids()[f"small-g1-s{turn % 2}-0"], signal.SIGKILL)
                client.upsert([(row_id, vector)])
                written[row_id] = vector
        found = client.fetch(list(written)).vectors
        client.delete(list(written))

    assert {row_id: row.values.tolist() for row_id, row in found.items()} == {
        row_id: vector.tolist() for row_id, vector in written.items()
    }
    expect_rows(small)


def test_supervisor_is_killed(small):
    """The index serves on; the next `up` finds the same processes, and starts what died meanwhile."""
    before = small.pids()
    os.kill(small.supervisor(), signal.SIGKILL)
    expect_rows(small)
    os.kill(before["small-g1-s1-0"], signal.SIGKILL)
    assert "no operator runs" in small.run("status").stderr
    assert small.up(small.manifest()).returncode == 0

    after = small.pids()
    assert after["small-g1-s0-0"] == before["small-g1-s0-0"]
    assert after["small-gateway-0"] == before["small-gateway-0"]
    assert after["small-g1-s1-0"] != before["small-g1-s1-0"]
    expect_rows(small)


def test_changed_manifest_is_followed(small):
    """A second gateway, and new annotations that restart every pod; the rows are there."""
    before = small.pids()
    done = small.up(small.manifest(gateway={"replicas": 2}, podAnnotations={"example.com/why": "test"}))
    assert done.returncode == 0, done.stderr

    after = small.pids()
    assert set(after) == {*before, "small-gateway-1"}
    assert not set(after.values()) & set(before.values())
    expect_rows(small)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"model": {"name": "random", "dimensions": 9}}, "spec.model is immutable"),
        ({"shards": 3}, "spec.shards is immutable"),
        ({"replicas": 2}, "not supported yet: spec.replicas"),
        ({"shrads": 2}, "shrads"),
        ({"namespace": "../../up"}, "metadata.namespace"),
    ],
)
def test_wrong_manifest_changes_nothing(small, wrong, said):
    """It is refused with the reason before anything is kept; the index stays ready."""
    done = small.up(small.manifest(**wrong))

    assert done.returncode == 2
    assert said in done.stderr
    assert small.index()["ready"]


def test_keys_stay_secret(small):
    """The state directory is its owner's alone, and the key is in no log and in no command line."""
    key = pathlib.Path(small.index()["apiKeyFile"]).read_text()
    logs = [*small.state.glob("logs/**/*.log"), small.state / "supervisor.log"]
    commands = [pathlib.Path(f"/proc/{pid}/cmdline").read_text() for pid in small.processes()]

    assert stat.S_IMODE(small.state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in small.state.glob("objects/Secret/*/*")} == {0o600}
    assert not [path for path in logs if key in path.read_text()]
    assert not [command for command in commands if key in command]


def test_key_rotates(small):
    """A new entry in the index's own Secret becomes a valid key without a restart."""
    before = small.pids()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"}}
    one = secret | {"stringData": {"a": "first-key"}}
    two = secret | {"stringData": {"a": "first-key", "b": "second-key"}}
    mine = small.manifest("own", shards=1, gateway={"replicas": 1, "auth": {"secretRef": {"name": "own"}}})
    assert small.up(one, mine).returncode == 0
    endpoint = small.index("own")["endpoint"]
    assert small.up(two, mine).returncode == 0

    def accepted(key: str) -> bool:
        with vectorfleet.Client(endpoint, key, retries=0) as client:
            try:
                client.stats()
            except vectorfleet.AuthenticationError:
                return False
            return True

    small.wait_until(lambda: accepted("second-key"))
    assert accepted("first-key")
    assert small.run("down", "own", "--delete-data").returncode == 0
    assert small.pids() == before


def test_down_keeps_the_data(small):
    """Every process is gone, the volumes are named and kept, and `up` finds the rows again."""
    done = small.run("down")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("kept the volume") == 2
    assert small.processes() == []
    assert small.up(small.manifest()).returncode == 0
    expect_rows(small)


def test_declared_deletion_removes_volumes(small):
    """Under deletionPolicy Delete the volumes go with the index; another of that name is left alone."""
    twin = small.manifest(namespace="twin", shards=1, storage={"size": "1Gi", "deletionPolicy": "Delete"})
    assert small.up(twin).returncode == 0
    assert small.run("down", "twin/small").returncode == 0

    assert not list((small.state / "volumes" / "twin").glob("*"))
    expect_rows(small)


def test_down_all_and_delete(small):
    """`down --delete-data` leaves neither process nor row."""
    assert small.run("down", "--delete-data").returncode == 0

    assert small.processes() == []
    assert not list(small.state.glob("volumes/*/*"))
    assert small.run("status").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_foreground_takes_everything_down(local, number):
    """Ctrl-C, or SIGTERM, of `up --foreground` ends every process."""
    path = local.folder / "foreground.yaml"
    path.write_text(yaml.safe_dump(local.manifest("front", shards=1)))
    program = pathlib.Path(sys.executable).parent / "vectorfleet"
    with subprocess.Popen(
        [program, "up", "--foreground", "-f", path, "--state-dir", local.state],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  see the shell's
    ) as started:
        for line in started.stderr:
            if "Ctrl-C" in line:
                break
        time.sleep(0.2)
        started.send_signal(number)
        assert started.wait(60) == 0

    assert local.processes() == []
