"""Shards that are killed or stopped: whoever allows it gets a part that says so, in the time that it gave."""

import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import vectorfleet
from vectorfleet import aio

VECTORFLEET = pathlib.Path(sys.executable).with_name("vectorfleet")
KEY = "integration-key"
ROWS = [(f"r{number:03}", [1.0, number / 50, 0.1, 0.2]) for number in range(100)]


@pytest.fixture
def fleet(make_fleet):
    """Two shards with rows; each test has its own, since it breaks them."""
    fleet = make_fleet(shards=2)
    with fleet.http() as http:
        rows = [{"id": row_id, "values": values} for row_id, values in ROWS]
        assert http.post("/vectors/upsert", json={"vectors": rows}).status_code == 200
    return fleet


@contextlib.contextmanager
def stopped(shard):
    """Hold a process as a stuck disk would: it is there, and answers nothing."""
    shard.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        shard.process.send_signal(signal.SIGCONT)


def test_r30_a_stopped_shard(fleet):
    """An error within the caller's time, or a part; whole again once the shard goes on."""
    impatient = vectorfleet.Client(fleet.host, KEY, timeout=1.0, retries=0)
    with stopped(fleet.shards[1]), impatient as index:
        started = time.monotonic()
        with pytest.raises((vectorfleet.UnavailableError, vectorfleet.RequestTimeoutError)):
            index.query(ROWS[0][1], top_k=100)
        answer = index.query(ROWS[0][1], top_k=100, allow_partial=True)
        assert time.monotonic() - started < 10
        assert answer.partial
        assert [one.shard for one in answer.missing_shards] == [1]
        assert 20 < len(answer.matches) < 80
    with vectorfleet.Client(fleet.host, KEY) as index:
        whole = index.query(ROWS[0][1], top_k=100, allow_partial=True)
        assert (len(whole.matches), whole.partial, whole.missing_shards) == (100, False, ())
    assert "vectorfleet_gateway_partial_answers_total 1.0" in fleet.gateway.scrape()


async def test_r30_a_killed_shard(fleet):
    """An error that names it; whoever allows it gets the other shard's rows."""
    fleet.shards[0].kill()
    async with aio.Client(fleet.host, KEY, timeout=3.0) as index:
        answer = await index.query(ROWS[0][1], top_k=100, allow_partial=True)
        assert answer.partial
        assert [(one.shard, one.message) for one in answer.missing_shards] == [
            (0, "shard 0 can't be reached")
        ]
    with fleet.http() as http:
        headers, body = {"x-request-timeout-ms": "2000"}, {"topK": 100, "vector": ROWS[0][1]}
        refused = http.post("/query", json=body, headers=headers)
    assert (refused.status_code, refused.json()["message"]) == (503, "shard 0 can't be reached")


def test_the_command(fleet):
    """It shows what there is, and says on standard error that it is a part."""
    fleet.shards[0].kill()
    command = [str(VECTORFLEET), "query", "[1, 1, 0.1, 0.2]", "--host", fleet.host]
    command += ["--api-key", KEY, "--timeout", "3", "-o", "json", "-k", "100", "--allow-partial"]
    part = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (part.returncode, "the answer is partial: shard 0" in part.stderr) == (0, True), part.stderr
    shown = json.loads(part.stdout)
    assert shown["partial"] is True
    assert [one["shard"] for one in shown["missingShards"]] == [0]
    assert shown["matches"]
