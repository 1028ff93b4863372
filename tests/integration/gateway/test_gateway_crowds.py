"""More than a gateway takes: real processes, real load, and what becomes of memory and of the others."""

import concurrent.futures
import contextlib
import pathlib
import socket
import threading
import time

import pytest

import vectorfleet

KEY = "integration-key"
BODY = 4_000_000


def memory(fleet):
    """Return the gateway's resident memory, MiB."""
    statm = pathlib.Path(f"/proc/{fleet.gateway.process.pid}/statm").read_text()
    return int(statm.split()[1]) // 256


@pytest.fixture(scope="module")
def small(make_fleet):
    """A gateway that takes little at a time."""
    return make_fleet(
        shards=1, MAX_REQUESTS=4, MAX_BODIES_BYTES=8_000_000, MAX_BODY_BYTES=BODY, REQUEST_TIMEOUT_SECONDS=20
    )


def test_a_crowd_is_answered_or_told_to_come_again(small):
    """Forty at a time on a gateway that takes four: each gets 200, or 429 and when to come again."""
    seen = []

    def ask():
        with small.http() as client:
            for _ in range(20):
                answer = client.post("/query", json={"vector": [1, 2, 3, 4], "topK": 3})
                seen.append((answer.status_code, answer.headers.get("retry-after")))

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 800
    assert set(seen) == {(200, None), (429, "1")}
    assert 'vectorfleet_gateway_refusals_total{reason="requests"}' in small.gateway.scrape()


def test_our_client_comes_again(small):
    """The SDK waits for as long as it was told: a load that is too much is slower, and loses nothing."""

    def load(number):
        with vectorfleet.Client(small.host, KEY) as index:
            for batch in range(5):
                index.upsert([(f"{number}-{batch}-{row}", [1.0, 2.0, 3.0, row + 1.0]) for row in range(50)])

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(load, range(6)))
    with vectorfleet.Client(small.host, KEY) as index:
        assert index.stats().total_vector_count >= 6 * 5 * 50


def test_many_bodies_do_not_take_the_memory(small):
    """Sixty callers each send most of 4 MB and stop: what they sent is not all kept, and others get in."""
    head = f"POST /vectors/upsert HTTP/1.1\r\nHost: x\r\nApi-Key: {KEY}\r\nContent-Length: {BODY}\r\n\r\n"
    before, callers = memory(small), []
    for _ in range(60):
        caller = socket.create_connection(("127.0.0.1", small.port), timeout=10)
        caller.settimeout(0.3)
        callers.append(caller)
        with contextlib.suppress(OSError):
            caller.sendall(head.encode() + b" " * (BODY - 10))
    answered = sum(_status(caller) == 429 for caller in callers)
    grown = memory(small) - before
    for caller in callers:
        caller.close()
    assert answered >= 56
    assert grown < 60
    deadline = time.monotonic() + 20
    with small.http() as client:
        while client.get("/namespaces").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def _status(caller):
    caller.settimeout(3)
    try:
        return int(caller.recv(100).split()[1])
    except (OSError, IndexError):
        return 0
