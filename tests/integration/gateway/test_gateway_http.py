"""The gateway's edge, spoken to with bare sockets: who is let in, what is read, and how it ends.

No shard runs here: what is refused at the door asks none.
"""

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from vectorfleet_gateway import app, index, operations, server, sockets
from vectorfleet_gateway.auth import keys
from vectorfleet_gateway.routes import table
from vectorfleet_gateway.serving import arrivals
from vectorfleet_runtime import grants
from vectorfleet_shardnode.api import config

KEY = "integration-key"
LIMIT = 1_000_000


class Door:
    """A gateway whose shards are away."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.port = fleet.port

    def connect(self):
        """Return a socket to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, method, path, headers=None):
        """Return status, header fields and body of a request without a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers={"api-key": KEY} if headers is None else headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def status_with(self, key):
        """Return the status that a key gets."""
        return self.ask("GET", "/nowhere", {"api-key": key})[0]


def head(*fields, path="/vectors/upsert", key=KEY):
    """Return a request's head."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", *fields, *([f"Api-Key: {key}"] if key else [])]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer_of(connection):
    """Return status, body, and whether the other side closed the connection after it."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    connection.settimeout(1)
    try:
        closed = connection.recv(1) == b""
    except TimeoutError:
        closed = False
    except ConnectionResetError:
        closed = True
    return response.status, json.loads(body) if body else None, closed


@pytest.fixture(scope="module")
def door(make_fleet):
    """A gateway with a small body limit and a short patience, on its own."""
    return Door(make_fleet(alone=True, MAX_BODY_BYTES=LIMIT, REQUEST_TIMEOUT_SECONDS=1.5))


@pytest.mark.parametrize("route", table.ROUTES, ids=lambda route: route.name)
@pytest.mark.parametrize("headers", [{}, {"api-key": "wrong"}, {"authorization": f"Bearer {KEY}"}])
def test_every_route_asks_for_a_key(door, route, headers):
    """401 in Pinecone's form on each route of the table."""
    path = route.path.replace(operations.NAME, "shop")
    status, fields, body = door.ask(route.method, path, headers)
    assert status == 401
    assert fields["content-type"] == "application/json"
    assert json.loads(body).keys() == {"code", "message", "details"}


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/health", "/vectors%2f..%2fmetrics", "/vectors/../metrics", "/%00", "/%ff"]
)
def test_other_paths_ask_for_a_key_too(door, path):
    """Without one nobody learns what exists; with one, nothing is there."""
    assert door.ask("GET", path, {})[0] == 401
    assert door.ask("GET", path)[0] == 404


def test_a_path_is_decided_on_as_it_resolves(door):
    """However its slash is written, the route asks for the key, and is the same route."""
    assert door.ask("GET", "/vectors%2Flist", {})[0] == 401
    assert door.ask("GET", "/vectors%2Flist")[0] == 503
    assert door.ask("GET", "/vectors%252Flist")[0] == 404


def test_a_body_is_not_read_before_the_key_is(door):
    """The answer is there while the body is not, and nothing more is taken."""
    with door.connect() as connection:
        connection.sendall(head("Content-Length: 500000", key=None))
        assert answer_of(connection)[0] == 401
    with door.connect() as connection:
        connection.sendall(head("Transfer-Encoding: chunked", key="wrong"))
        assert answer_of(connection)[0] == 401


def test_too_long_a_body_is_refused_from_its_head(door):
    """413 before a byte of it was sent, and no 100 Continue invites it."""
    for expect in ([], ["Expect: 100-continue"]):
        with door.connect() as connection:
            connection.sendall(head(f"Content-Length: {LIMIT + 1}", *expect))
            status, body, closed = answer_of(connection)
            assert (status, closed) == (413, True)
            assert f"{LIMIT} bytes" in body["message"]


def test_too_long_a_body_in_pieces_is_refused_on_the_way(door):
    """Without a length, 413 as soon as it is too long; it is not read to its end, which never comes."""
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with door.connect() as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        for _ in range(LIMIT // 0x10000 + 1):
            connection.sendall(piece)
        status, _, closed = answer_of(connection)
        assert (status, closed) == (413, True)


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_slow_body_is_cut_off(door, framing):
    """A sender that trickles is answered 408 when its time is up; each byte does not renew it."""
    with door.connect() as connection:
        connection.sendall(head(framing))
        trickling = threading.Event()

        def trickle():
            while not trickling.wait(0.2):
                try:
                    connection.sendall(b"1\r\n \r\n" if "chunked" in framing else b" ")
                except OSError:
                    return

        sender = threading.Thread(target=trickle)
        sender.start()
        try:
            status, _, closed = answer_of(connection)
        finally:
            trickling.set()
            sender.join()
        assert (status, closed) == (408, True)


def test_ambiguous_bodies_are_refused(door):
    """Two lengths that differ are nobody's body; a length beside chunks does not smuggle a second request."""
    with door.connect() as connection:
        connection.sendall(head("Content-Length: 2", "Content-Length: 3") + b"{} ")
        assert answer_of(connection)[0] == 400
    with door.connect() as connection:
        smuggled = b"GET /namespaces HTTP/1.1\r\nHost: test\r\nApi-Key: " + KEY.encode() + b"\r\n\r\n"
        connection.sendall(head("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + smuggled)
        status, _, closed = answer_of(connection)
        assert (status, closed) == (400, True)


def test_chunked_bodies_are_taken(door):
    """A body without a length is as good as one with; here it is a wrong one."""
    with door.connect() as connection:
        connection.sendall(head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n")
        status, body, closed = answer_of(connection)
        assert (status, closed) == (400, False)
        assert "vectors" in body["message"]


def test_a_shard_that_is_away_is_named(door):
    """503 in Pinecone's form."""
    status, _, body = door.ask("GET", "/vectors/list")
    assert (status, json.loads(body)["code"]) == (503, 14)
    assert b"shard 0 can't be reached" in body


def test_metrics_have_a_listener_of_their_own(door):
    """Three routes without a key, and none of the API's."""
    assert door.status_with("nobodys-key") == 401
    scraped = door.fleet.gateway.scrape()
    for name in ("vector_search_requests_total", "vector_search_duration_seconds", "embedding_generation"):
        assert f"# HELP {name}" in scraped
    assert 'vectorfleet_gateway_requests_total{route="none",status="401"}' in scraped
    connection = http.client.HTTPConnection("127.0.0.1", door.fleet.gateway.metrics, timeout=5)
    connection.request("GET", "/vectors/list", headers={"api-key": KEY})
    assert connection.getresponse().status == 404
    connection.close()


def test_keys_rotate_while_it_runs(door):
    """A second key becomes valid beside the first; a key that is removed stops to be. No restart."""
    assert door.status_with("second-key") == 401
    (door.fleet.keys / "second").write_text("second-key\n")
    until(lambda: door.status_with("second-key") == 404)
    assert door.status_with(KEY) == 404
    (door.fleet.keys / "second").unlink()
    until(lambda: door.status_with("second-key") == 401)
    assert door.status_with(KEY) == 404


def test_no_secret_is_logged(door):
    """Neither a key nor the token, after all of the above."""
    for secret in (KEY, "second-key", "integration-token"):
        assert secret not in door.fleet.gateway.log


def test_a_port_is_not_shared(door, make_fleet):
    """A second gateway on the same port ends with status 2 and says why."""
    second = make_fleet(alone=True, start=False, HTTP_PORT=door.port).gateway
    second.start()
    assert second.process.wait(20) == 2
    assert f"can't listen on 127.0.0.1:{door.port}: Address already in use" in second.log


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("keys/api-key", "VECTORFLEET_API_KEYS_DIR: "),
        ("token", "VECTORFLEET_INTERNAL_TOKEN_FILE: "),
        ("index.json", "VECTORFLEET_CONFIG: "),
    ],
)
def test_nothing_runs_open(make_fleet, missing, said):
    """Without keys, token or configuration it ends with status 2 and one line."""
    fleet = make_fleet(alone=True, start=False)
    (fleet.folder / missing).unlink()
    fleet.gateway.start()
    assert fleet.gateway.process.wait(20) == 2
    (line,) = fleet.gateway.log.splitlines()
    assert line.startswith(f"vectorfleet-gateway: {said}")


def test_it_stops_gracefully(make_fleet):
    """SIGTERM: the request in flight is answered, no new connection is taken, the status is 0."""
    gateway = Door(make_fleet(alone=True)).fleet
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head("Content-Length: 2", path="/query"))
        time.sleep(0.2)  # the request is under way once its head was read
        stopped = threading.Thread(target=gateway.gateway.stop)
        stopped.start()
        until(lambda: refuses(gateway.port))
        connection.sendall(b"{}")
        assert answer_of(connection)[0] == 400
    stopped.join()
    assert gateway.gateway.process.returncode == 0


async def test_a_request_that_never_ends_does_not_hold_up_the_stop(monkeypatch):
    """After the time to drain, what is left is cut off, and the server ends."""
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.2)
    settled = config.IndexConfig(index="test", serving=config.Generation(dimensions=2))
    application = app.App(index.Index(settled, []), keys.KeyRing([grants.plain("first", KEY)]))
    stop, claimed = asyncio.Event(), sockets.claim(sockets.Address("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(application, arrivals.Accepted(claimed), stop))
    reader, writer = await asyncio.open_connection("127.0.0.1", sockets.port_of(claimed))
    writer.write(head("Content-Length: 10"))
    while not application._in_flight:  # noqa: ASYNC110  # the server tells nobody
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(serving, 10)
    assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    writer.close()


def until(condition, seconds=10):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def refuses(port):
    """Return whether nobody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_the_command_is_installed():
    """`python -m` and the script are the same program; both say what is missing."""
    done = subprocess.run(
        [sys.executable, "-m", "vectorfleet_gateway"],
        env={"VECTORFLEET_CONFIG": "/none", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "vectorfleet-gateway: VECTORFLEET_CONFIG: can't read /none: No such file or directory\n"
    )
