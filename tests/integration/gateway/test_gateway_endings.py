"""How connections end: a gateway that stops, a certificate that is replaced, callers who take nothing."""

import contextlib
import http.client
import pathlib
import socket
import ssl
import threading
import time

import httpx
import pinecone
import pytest
from issuing import folders

KEY = "integration-key"


class Callers:
    """Clients that ask without a pause until they are told to stop; what failed is kept.

    Like a load balancer's, they open no connection to a gateway that is not ready, and use those that they
    have until they are told to close them.
    """

    def __init__(self, make, count=6):
        self.failed, self.done, self.stop = [], 0, threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(make,)) for _ in range(count)]

    def _run(self, make):
        with make() as ask:
            while not self.stop.is_set():
                try:
                    ask()
                    self.done += 1
                except Exception as error:  # noqa: BLE001  # whatever it is, a request failed
                    self.failed.append(repr(error))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self._threads:
            thread.join()


class Balanced:
    """One caller of two gateways: it goes to the one that is ready, over one connection for each."""

    def __init__(self, ports, ready):
        self._ports, self._ready, self._connections = ports, ready, {}

    def __enter__(self):
        return self._ask

    def __exit__(self, *_):
        for connection in self._connections.values():
            connection.close()

    def _ask(self):
        connection = self._connection()
        body = '{"vector": [1, 2, 3, 4], "topK": 3}'
        connection.request("POST", "/query", body, {"Api-Key": KEY})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        if answer.getheader("connection") == "close":
            self._connections.pop(connection.port).close()

    def _connection(self):
        for port in self._ports:
            if port in self._connections:
                return self._connections[port]
            if self._ready(port):
                self._connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                return self._connections[port]
        raise AssertionError("no gateway is ready")


def test_a_gateway_stops_without_a_failed_request(make_fleet):
    """SIGTERM under load: each request is answered, by this gateway or, once it is unready, by the other."""
    one, other = make_fleet(), make_fleet()
    gateways = {one.port: one.gateway, other.port: other.gateway}
    ready = dict.fromkeys(gateways, True)

    def watch():
        while not callers.stop.is_set():
            for port, gateway in gateways.items():
                ready[port] = is_ready(gateway)
            time.sleep(0.05)

    callers = Callers(lambda: Balanced((one.port, other.port), ready.get))
    watcher = threading.Thread(target=watch)
    with callers:
        watcher.start()
        until(lambda: callers.done > 50, 60)
        assert one.gateway.stop() == 0
        alone = callers.done
        until(lambda: callers.done > alone + 10, 60)
    watcher.join()
    assert callers.failed == []


def is_ready(gateway):
    """Return whether a gateway says that it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", int(gateway.metrics), timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def https(make_fleet, tmp_path_factory):
    """A gateway that speaks HTTPS; its certificates are in `folders`."""
    made = folders.Folders(tmp_path_factory.mktemp("public"))
    name = made.write_for("tls", "localhost")
    fleet = make_fleet(shards=1, TLS_DIR=name)
    fleet.folders = made
    return fleet


def trusting(fleet):
    """Return a TLS context that trusts the gateway's authority."""
    return ssl.create_default_context(cadata=fleet.folders.trusted.certificate)


def serial_of(fleet):
    """Return the serial number of the certificate that a new connection is shown."""
    with (
        socket.create_connection(("localhost", fleet.port), timeout=10) as plain,
        trusting(fleet).wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return secure.getpeercert()["serialNumber"]


def test_the_official_client_speaks_https(https):
    """Given the authority, and a host that begins with https."""
    authority = https.folders.root / "authority.pem"
    authority.write_text(https.folders.trusted.certificate)
    client = pinecone.Pinecone(api_key=KEY, ssl_ca_certs=str(authority))
    with client.Index(host=f"https://localhost:{https.port}") as index:
        index.upsert([("a", [1.0, 2.0, 3.0, 4.0])])
        assert index.describe_index_stats().total_vector_count >= 1


@pytest.mark.parametrize(
    ("least", "most", "spoken"),
    [
        (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, True),
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, False),
    ],
)
def test_old_tls_is_not_spoken(https, least, most, spoken):
    """1.2 and 1.3, and nothing before."""
    context = trusting(https)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with contextlib.nullcontext() if spoken else pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = least, most
    with (
        socket.create_connection(("localhost", https.port), timeout=10) as plain,
        contextlib.nullcontext() if spoken else pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="localhost").close()


def test_http_is_not_spoken_on_a_port_of_https(https):
    """A key that is sent in the clear gets no answer."""
    url = f"http://localhost:{https.port}/namespaces"
    with pytest.raises(httpx.TransportError):
        httpx.get(url, headers={"Api-Key": KEY})


def test_a_certificate_is_replaced_without_a_failed_request(https):
    """Under load of kept and of new connections; those that come after it are shown the new one."""
    url, headers = f"https://localhost:{https.port}/vectors/list", {"Api-Key": KEY}

    @contextlib.contextmanager
    def keeping():
        with httpx.Client(verify=trusting(https)) as client:
            yield lambda: client.get(url, headers=headers).raise_for_status()

    @contextlib.contextmanager
    def coming_anew():
        context = trusting(https)
        yield lambda: httpx.get(url, headers=headers, verify=context).raise_for_status()

    with Callers(keeping, 3) as kept, Callers(coming_anew, 2) as fresh:
        for _ in range(3):
            before, asked = serial_of(https), kept.done + fresh.done
            https.folders.write_for("tls", "localhost")
            until(lambda before=before: serial_of(https) != before, 30)
            time.sleep(1.5)  # the old one leaves
            until(lambda asked=asked: kept.done + fresh.done > asked, 30)
    assert kept.failed == []
    assert fresh.failed == []
    assert "PRIVATE KEY" not in https.gateway.log


def test_a_wrong_certificate_changes_nothing(https):
    """What does not fit is said, and the last one is shown on."""
    before = serial_of(https)
    (https.folders.root / "tls" / "tls.key").write_text("nothing")
    until(lambda: "keeping the last" in https.gateway.log, 30)
    assert serial_of(https) == before
    https.folders.write_for("tls", "localhost")
    until(lambda: serial_of(https) != before, 30)


def test_a_gateway_without_its_certificate_does_not_start(make_fleet, tmp_path):
    """Rather than to speak HTTP where HTTPS was asked for."""
    fleet = make_fleet(alone=True, start=False, TLS_DIR=tmp_path)
    fleet.gateway.start()
    assert fleet.gateway.process.wait(60) == 2
    assert fleet.gateway.log.startswith("vectorfleet-gateway: VECTORFLEET_TLS_DIR: can't read ")


def test_a_caller_who_takes_nothing_is_cut_off(make_fleet):
    """An answer of some megabytes is not kept for a caller who does not take it."""
    fleet = make_fleet(shards=1, serving={"dimensions": 512}, REQUEST_TIMEOUT_SECONDS=3)
    with fleet.http() as client:
        for start in range(0, 4000, 500):
            rows = [{"id": str(start + n), "values": [start + n + 0.123456] * 512} for n in range(500)]
            client.post("/vectors/upsert", json={"vectors": rows}).raise_for_status()
    body = b'{"topK": 4000, "includeValues": true, "vector": [' + b"1," * 511 + b"1]}"
    head = (
        f"POST /query HTTP/1.1\r\nHost: x\r\nApi-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", fleet.port))
        connection.sendall(head + body)
        until(lambda: connections(fleet.port) == 1, 30)
        until(lambda: connections(fleet.port) == 0, 60)


def connections(port):
    """Return how many connections a server has on a port."""
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(one[1].endswith(f":{port:04X}") and one[3] == "01" for one in lines)


def until(condition, seconds):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
