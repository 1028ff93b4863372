"""A small HTTP proxy in front of a real service: it writes down what passes, and does harm when told to."""

import contextlib
import dataclasses
import http.client
import http.server
import json
import threading
import time
from urllib.parse import urlsplit


@dataclasses.dataclass(frozen=True)
class Seen:
    """A request that came: its path, its header fields in lower case, its JSON."""

    path: str
    headers: dict
    body: dict


@dataclasses.dataclass(frozen=True)
class Answer:
    """Answers so, without asking the service; no status breaks the connection off."""

    status: int | None = 200
    body: bytes = b"{}"
    headers: tuple = ()


@dataclasses.dataclass(frozen=True)
class Wait:
    """Holds a request up before it passes."""

    seconds: float


@dataclasses.dataclass(frozen=True)
class Change:
    """Passes what a function makes of the service's JSON."""

    function: object


class Proxy:
    """What the tests see: `seen`, and faults to come.

    A fault is an `Answer`, a `Wait`, a `Change`, or a function from the request's JSON to one of them.
    """

    def __init__(self, target):
        self.target = urlsplit(target)
        self.seen = []
        self.always = None
        self._next = []
        self._lock = threading.Lock()

    def fail_next(self, *faults):
        """Do this harm to the next requests, one each."""
        with self._lock:
            self._next.extend(faults)

    def heal(self):
        """Do no harm any more, and forget what was seen."""
        with self._lock:
            self._next.clear()
            self.always = None
            self.seen.clear()

    def note(self, seen):
        """Write a request down and return what is to be done to it."""
        with self._lock:
            self.seen.append(seen)
            fault = self._next.pop(0) if self._next else self.always
        return fault(seen.body) if callable(fault) else fault

    def forward(self, path, body):
        """Return the service's status and body."""
        connection = http.client.HTTPConnection(self.target.hostname, self.target.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()


def _handler(proxy):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            fault = proxy.note(Seen(self.path, headers, json.loads(body)))
            if isinstance(fault, Answer):
                self._answer(fault.status, fault.body, fault.headers)
                return
            if isinstance(fault, Wait):
                time.sleep(fault.seconds)
            status, content = proxy.forward(self.path, body)
            if isinstance(fault, Change):
                content = json.dumps(fault.function(json.loads(content))).encode()
            self._answer(status, content)

        def _answer(self, status, content, headers=()):
            self.close_connection = status is None
            if status is None:
                return
            with contextlib.suppress(OSError):  # whoever asked may have gone
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler


@contextlib.contextmanager
def before(target):
    """Run a proxy before a base URL; yield it and its own base URL."""
    proxy = Proxy(target)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy, f"http://127.0.0.1:{server.server_port}{proxy.target.path}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
