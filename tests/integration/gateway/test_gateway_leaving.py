"""Callers who go before their answer is there: bare sockets, a real gateway, and a shard that is stopped."""

import contextlib
import json
import re
import signal
import socket
import struct
import time

import pytest

KEY = "integration-key"
PATIENCE = 20
QUERY = {"topK": 1, "vector": [1, 0, 0, 0]}
READS = [
    ("query", "POST", "/query", QUERY),
    ("fetch", "GET", "/vectors/fetch?ids=a", None),
    ("list", "GET", "/vectors/list", None),
    ("stats", "POST", "/describe_index_stats", {}),
]


@pytest.fixture(scope="module")
def small(make_fleet):
    """One shard; a request may take a minute, so that no deadline ends it."""
    fleet = make_fleet(shards=1, REQUEST_TIMEOUT_SECONDS=60)
    with fleet.http() as http:
        http.post(
            "/vectors/upsert", json={"vectors": [{"id": "a", "values": [1, 0, 0, 0]}]}
        ).raise_for_status()
    return fleet


@contextlib.contextmanager
def stopped(fleet):
    """Let nothing be answered by the shard meanwhile."""
    fleet.shards[0].process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        fleet.shards[0].process.send_signal(signal.SIGCONT)


def ask(fleet, method, path, body):
    """Send a request, and return its socket."""
    content = b"" if body is None else json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", fleet.port), timeout=PATIENCE)
    head = f"{method} {path} HTTP/1.1\r\nHost: t\r\nApi-Key: {KEY}\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def heard(connection):
    """Return all that comes until the connection ends."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def value(fleet, series):
    """Return what one series of the gateway's metrics stands at, 0 where there is none."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", fleet.gateway.scrape(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def becomes(fleet, series, wanted):
    """Wait until a series stands at a value."""
    deadline = time.monotonic() + PATIENCE
    while (found := value(fleet, series)) != wanted:
        assert time.monotonic() < deadline, f"{series} stays at {found}, and was to become {wanted}"
        time.sleep(0.01)


def close(connection):
    """Close a connection in good order: its kernel says that no more comes."""
    connection.close()


def reset(connection):
    """Close a connection at once, as where its process was killed with bytes unread."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


UNDER_WAY = "vectorfleet_gateway_requests_in_flight"


@pytest.mark.parametrize("leave", [close, reset])
@pytest.mark.parametrize(("route", "method", "path", "body"), READS, ids=[read[0] for read in READS])
def test_a_read_ends_with_its_caller(small, route, method, path, body, leave):
    """Its place is free while the shard still has not answered, and nobody counts it as a failure of ours."""
    series = f'vectorfleet_gateway_requests_total{{route="{route}",status="499"}}'
    before = value(small, series)
    with stopped(small):
        connection = ask(small, method, path, body)
        becomes(small, UNDER_WAY, 1)
        leave(connection)
        becomes(small, UNDER_WAY, 0)
    assert value(small, series) == before + 1
    if route == "query":
        assert value(small, 'vector_search_requests_total{namespace="__default__",status="504"}') == 0
    with small.http() as http:  # whoever comes next is answered
        assert http.post("/query", json=QUERY).json()["matches"][0]["id"] == "a"


def test_who_closes_its_half_of_a_read_is_told(small):
    """It can't be told from who has gone, so it is not worked for either; it can read why."""
    with stopped(small):
        connection = ask(small, "POST", "/query", QUERY)
        becomes(small, UNDER_WAY, 1)
        connection.shutdown(socket.SHUT_WR)
        answer = heard(connection)
    assert answer.startswith(b"HTTP/1.1 499 ")
    assert b"closed the connection, or its half of it" in answer


@pytest.mark.parametrize("leave", [close, reset])
def test_a_write_is_done_whether_its_caller_stays_or_not(small, leave):
    """It keeps its place until it is done."""
    row = {"id": f"of who went by {leave.__name__}", "values": [0, 1, 0, 0]}
    with stopped(small):
        connection = ask(small, "POST", "/vectors/upsert", {"vectors": [row]})
        becomes(small, UNDER_WAY, 1)
        leave(connection)
        # A read that came later and was given up shows that the gateway has looked at who went.
        reader = ask(small, "POST", "/query", QUERY)
        becomes(small, UNDER_WAY, 2)
        reader.close()
        becomes(small, UNDER_WAY, 1)
    becomes(small, UNDER_WAY, 0)
    with small.http() as http:
        assert row["id"] in http.get("/vectors/fetch", params={"ids": row["id"]}).json()["vectors"]


def test_a_write_whose_caller_closed_its_half_is_answered(small):
    """It was done, and its caller may wait for that."""
    connection = ask(small, "POST", "/vectors/upsert", {"vectors": [{"id": "b", "values": [0, 0, 1, 0]}]})
    connection.shutdown(socket.SHUT_WR)
    assert heard(connection).startswith(b"HTTP/1.1 200 ")


def test_one_who_leaves_takes_no_other_with_it(small):
    """Of queries that go to the shard together, those whose callers stay are answered."""
    with stopped(small):
        staying, leaving = [], []
        for number in range(6):
            connection = ask(small, "POST", "/query", QUERY)
            (leaving if number % 2 else staying).append(connection)
        becomes(small, UNDER_WAY, 6)
        for connection in leaving:
            connection.close()
        becomes(small, UNDER_WAY, 3)
    for connection in staying:
        with connection:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
