"""What a manifest says of gateways' limits and logs, on this machine: it holds, and so does its change."""

import json
import time

import httpx
import pytest

import vectorfleet
from vectorfleet_operator.adapters.local import folder

NARROW = {
    "replicas": 1,
    "limits": {"bodySize": "4Ki", "requests": 1},
    "log": {"level": "ERROR", "audit": "all"},
    "openDocs": True,
}
ROWS = [{"id": str(number), "values": [float(number)] * 8} for number in range(200)]


@pytest.fixture(scope="module")
def narrow(local):
    """An index whose gateway takes little, and shows its description to everybody."""
    done = local.up(local.manifest(gateway=NARROW))
    assert done.returncode == 0, done.stderr
    return local


def logged(local):
    """Return the lines of the gateway's log."""
    path = folder.Folder(local.state).log("default", "small-gateway-0")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_body_beyond_the_manifest_s_size_is_refused(narrow):
    """413, and a shorter one is written."""
    with narrow.client() as client:
        client.upsert(ROWS[:10])
        with pytest.raises(vectorfleet.TooLargeError):
            client.upsert(ROWS)


def test_the_log_has_what_the_manifest_says(narrow):
    """Reads are audited, and of the rest nothing that is less than an error."""
    with narrow.client() as client:
        client.stats()
    deadline, lines = time.monotonic() + 10, logged(narrow)
    while "stats" not in {line.get("action") for line in lines} and time.monotonic() < deadline:
        time.sleep(0.05)  # the answer is there before the line is
        lines = logged(narrow)
    assert {line["message"] for line in lines} == {"audit"}
    assert "stats" in {line["action"] for line in lines}


def test_the_description_is_open_where_the_manifest_says_so(narrow):
    """Without a key."""
    assert httpx.get(f"{narrow.seen().endpoint}/openapi.json").status_code == 200


def test_other_limits_restart_the_gateways_alone(narrow):
    """And hold from then on: what was refused is written, and the description wants a key."""
    before = narrow.pids()
    done = narrow.up(narrow.manifest())
    assert done.returncode == 0, done.stderr
    assert {name for name, pid in narrow.pids().items() if pid != before[name]} == {"small-gateway-0"}
    with narrow.client() as client:
        client.upsert(ROWS)
        assert client.stats().total_vector_count == len(ROWS)
    assert httpx.get(f"{narrow.seen().endpoint}/openapi.json").status_code == 401


def test_limits_that_no_gateway_takes_are_refused(narrow):
    """By name, and the index serves on."""
    done = narrow.up(narrow.manifest(gateway={"limits": {"bodySize": "2Gi"}}))
    assert done.returncode == 2
    assert "spec.gateway.limits: bodySize is 1Ki to 1Gi" in done.stderr
    assert narrow.seen().ready
