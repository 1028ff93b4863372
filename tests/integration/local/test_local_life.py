"""An index on this machine: loaded, killed, left alone, changed, taken down. Each test builds on the last."""

import concurrent.futures
import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import threading
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
    table, told = small.run("status"), small.index()

    assert table.returncode == 0
    for shown in ("small", "yes", "2/2", "random", told["endpoint"], told["apiKeyFile"]):
        assert shown in table.stdout
    assert told["ready"]
    assert {condition["type"]: condition["status"] for condition in told["conditions"]} == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
    }
    assert [pod["ready"] for pod in told["pods"]] == [True] * 3


def test_supervisor_tells_of_itself(small):
    """Health and metrics of the operator, on an address beside those of its pods."""
    block = json.loads((small.state / "network.json").read_text())["block"]
    with urllib.request.urlopen(f"http://{block}.1:9090/metrics", timeout=10) as answer:
        told = answer.read().decode()

    assert "vectorfleet_operator_reconcile" in told
    assert 'index="small"' in told


def test_kill_9_of_shards_loses_nothing(small):
    """Shards that are killed again and again under writes come back with every row that was acknowledged."""
    random, acknowledged, is_over = np.random.default_rng(6), {}, threading.Event()

    def write():
        with small.client() as client:
            while not is_over.is_set() and len(acknowledged) < 5000:
                rows = [(f"k{len(acknowledged) + n}", random.random(8, dtype=np.float32)) for n in range(3)]
                client.upsert(rows)
                acknowledged.update(rows)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        for turn in range(6):
            before, name = len(acknowledged), f"small-g1-s{turn % 2}-0"
            small.wait_until(lambda before=before: len(acknowledged) > before)
            pid = small.pids()[name]
            os.kill(pid, signal.SIGKILL)
            small.wait_until(lambda name=name, pid=pid: small.pids()[name] not in {0, pid})
        is_over.set()
        writing.result()

    ids = list(acknowledged)
    with small.client() as client:
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            found = client.fetch(part).vectors
            assert set(found) == set(part)
            assert all(np.array_equal(found[one].values, acknowledged[one]) for one in part)
            client.delete(part)
    expect_rows(small)


def test_supervisor_is_killed(small):
    """The index serves and writes on; the next `up` finds the processes, and starts what died meanwhile."""
    before = small.pids()
    small.kill_supervisor()
    with small.client() as client:
        client.upsert([("alone", STORED[0] + 9)])
        assert client.query(STORED[0] + 9, top_k=1).matches[0].id == "alone"
        client.delete(["alone"])
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
    """A second gateway, and new annotations and resources that restart every pod; the rows are there."""
    before, shards_ready = small.pids(), set()
    changed = small.manifest(gateway={"replicas": 2}, **KEPT)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        upping = pool.submit(small.up, changed)
        while not upping.done():
            shards_ready.add(sum(pod.ready for pod in small.seen().pods if "-g1-" in pod.name))
            time.sleep(0.05)
    assert upping.result().returncode == 0, upping.result().stderr

    after = small.pids()
    assert set(after) == {*before, "small-gateway-1"}
    assert not set(after.values()) & set(before.values())
    assert shards_ready == {1, 2}, "one shard at a time"
    assert small.index()["vectors"] == len(STORED)
    expect_rows(small)


def test_volumes_grow_without_a_restart(small):
    """A larger size is taken up, its volumes being folders; no process ends, and no row is missed."""
    before = small.pids()
    done = small.up(small.manifest(gateway={"replicas": 2}, **KEPT, storage={"size": "20Gi"}))

    assert done.returncode == 0, done.stderr
    assert small.pids() == before
    assert {size_of(one) for one in small.stateful_sets()} == {"20Gi"}
    time.sleep(1)  # a supervisor that missed them would end them in a fifth of that
    assert small.pids() == before
    expect_rows(small)


KEPT = {
    "podAnnotations": {"example.com/why": "test"},
    "resources": {"requests": {"memory": "64Mi"}},
}


def size_of(workload):
    """Return the size in the claim template of a StatefulSet."""
    return workload["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"storage": {"size": "5Gi"}}, "spec.storage.size may only grow"),
        ({"model": {"name": "random", "dimensions": 9}}, "spec.model is immutable"),
        ({"shards": 3}, "spec.shards is immutable"),
        ({"index": {"type": "hnsw", "profile": "recall"}}, "spec.index"),
        ({"rollout": {}}, "not supported yet: spec.rollout"),
        ({"shrads": 2}, "shrads"),
        ({"namespace": "../../up"}, "metadata.namespace"),
    ],
)
def test_wrong_manifest_changes_nothing(small, wrong, said):
    """It is refused with the reason before anything is kept; the index stays ready."""
    done = small.up(small.manifest(**wrong))

    assert done.returncode == 2
    assert said in done.stderr
    assert small.seen().ready


def test_other_kinds_are_refused(small):
    """A manifest of another kind is named, with what would be right; nothing of its file is kept."""
    done = small.up(small.manifest("other"), {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}})

    assert done.returncode == 2
    assert "VectorIndex" in done.stderr
    assert "not Pod of v1" in done.stderr
    assert "other" not in small.run("status").stdout


def test_keys_stay_secret(small):
    """The state directory is its owner's alone, and the key is in no log and in no command line."""
    key = pathlib.Path(small.seen().api_key_file).read_text()
    logs = [*small.state.glob("logs/**/*.log"), small.state / "supervisor.log"]
    commands = [pathlib.Path(f"/proc/{pid}/cmdline").read_text() for pid in small.processes()]

    assert stat.S_IMODE(small.state.stat().st_mode) == 0o700
    secrets = [*small.state.glob("objects/Secret/*/*"), *small.state.glob("pods/*/*/volumes/*/*key*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert {"api-key", "tls.key", "small-api-key.json", "small-ca.json"} <= {path.name for path in secrets}
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
    endpoint = small.seen("own").endpoint
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
