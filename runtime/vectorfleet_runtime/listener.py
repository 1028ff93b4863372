"""The listener for health and metrics: three GET routes on a port of its own, and nothing else.

It runs in a thread, so that it answers while the process is busy; whether the event loop still turns
is asked through `alive`.
"""

import asyncio
import concurrent.futures
import logging
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import prometheus_client
from prometheus_client import exposition
from prometheus_client.registry import Collector

_LOG = logging.getLogger(__name__)
Probe = Callable[[], str]
"""Asks after a state; returns why it is not reached, or an empty string where it is."""


def loop_probe(loop: asyncio.AbstractEventLoop, timeout: float = 5.0) -> Probe:
    """Return a probe that passes while `loop` still runs callbacks within `timeout` seconds."""

    def probe() -> str:
        answer: concurrent.futures.Future[None] = concurrent.futures.Future()
        try:
            loop.call_soon_threadsafe(answer.set_result, None)
            answer.result(timeout)
        except (RuntimeError, TimeoutError):
            return f"the event loop did not answer within {timeout:g} s"
        return ""

    return probe


class Listener:
    """Serves `/health`, `/ready` and `/metrics` until it is closed.

    Args:
        host: address to listen on.
        port: TCP port; 0 picks a free one, see `port`.
        alive: what `/health` asks; a failure makes Kubernetes restart the container.
        ready: what `/ready` asks; a failure takes the pod out of its Services.
        registry: the metrics that `/metrics` shows.

    Raises:
        OSError: the address can't be listened on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        alive: Probe,
        ready: Probe,
        registry: Collector = prometheus_client.REGISTRY,
    ) -> None:
        probes = {"/health": alive, "/ready": ready}

        class Handler(_Handler):
            _probes = probes
            _registry = registry

        self._server = _Server((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="listener", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say what went wrong in the process's own way; a prober that has gone is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            _LOG.exception("a probe could not be answered")


class _Handler(BaseHTTPRequestHandler):
    _probes: ClassVar[dict[str, Probe]]
    _registry: ClassVar[Collector]
    server_version = "vectorfleet"
    sys_version = ""
    timeout = 10  # seconds; a client that sends nothing holds a thread no longer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = exposition.choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self._registry), content_type)
        elif path in self._probes:
            reason = self._probes[path]()
            self._answer(503 if reason else 200, (reason or "ok").encode() + b"\n", "text/plain")
        else:
            self._answer(404, b"try /health, /ready or /metrics\n", "text/plain")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep probes, which come every second, out of the log."""
