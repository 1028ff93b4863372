"""A write quorum that is lost, on an index of `vectorfleet up`: what a client is told, and that it passes."""

import contextlib
import os
import pathlib
import signal

import httpx
import pytest

from vectorfleet_operator import ports
from vectorfleet_operator.adapters.local import folder, store

SHARD = "triple-g1-s0"
ROW = {"id": "a", "values": [1.0] * 8}
OTHER = ROW | {"id": "b"}
QUERY = {"topK": 10, "vector": ROW["values"]}


@pytest.fixture
def http(local):
    """The index `triple`, up: one shard of three replicas, and a client of its gateway that never retries."""
    done = local.up(local.manifest("triple", shards=1, replicas=3))
    assert done.returncode == 0, done.stderr
    found = local.seen("triple")
    key = pathlib.Path(found.api_key_file).read_text().strip()
    with httpx.Client(base_url=found.endpoint, headers={"Api-Key": key}, timeout=60) as client:
        yield client


def shard_status(local):
    """Return what the VectorShard says."""
    [found] = store.read(folder.Folder(local.state).objects, ports.VECTOR_SHARD)
    return found["status"]


def quorum_lost(local):
    """Return the condition, None where it does not hold."""
    holds = (one for one in shard_status(local)["conditions"] if one["status"] == "True")
    return next((one for one in holds if one["type"] == "QuorumLost"), None)


@contextlib.contextmanager
def stopped(pids):
    """Let processes do nothing meanwhile."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # the supervisor has ended it: it gave no sign
                os.kill(pid, signal.SIGCONT)


def test_two_of_three_replicas_are_stopped(local, http):
    """Writes are refused with 503, the reason and when to come again; reads go on, and say that they may be
    stale; the operator says so too, and changes nothing. Once they go on, so do writes, and nothing is lost.
    """
    assert http.post("/vectors/upsert", json={"vectors": [ROW]}).status_code == 200
    before = shard_status(local)["configuration"]
    pids = local.pids("triple")
    followers = [pid for name, pid in pids.items() if name.startswith(SHARD) and name != before["primary"]]
    with stopped(followers):
        local.wait_until(lambda: refused(http) is not None)
        answer = refused(http)
        assert answer.json()["code"] == 9
        assert "quorum lost: writes need 2 of 3 replicas" in answer.json()["message"]
        assert answer.headers["retry-after"] == "2"
        found = http.post("/query", json=QUERY)
        assert [match["id"] for match in found.json()["matches"]] == ["a"]
        assert found.headers["x-vectorfleet-maybe-stale"] == "0"
        local.wait_until(lambda: quorum_lost(local))
        assert quorum_lost(local)["reason"] == "TooFewMembers"
    local.wait_until(lambda: http.post("/vectors/upsert", json={"vectors": [OTHER]}).status_code == 200)
    local.wait_until(lambda: quorum_lost(local) is None)
    found = http.post("/query", json=QUERY, headers={"X-Vectorfleet-Consistency": "strong"})
    assert {match["id"] for match in found.json()["matches"]} == {"a", "b"}
    assert "x-vectorfleet-maybe-stale" not in found.headers


def refused(http):
    """Write, and return the answer where it is a refusal that says that nothing was written."""
    answer = http.post("/vectors/upsert", json={"vectors": [OTHER]})
    return answer if answer.status_code == 503 and answer.json()["code"] == 9 else None
