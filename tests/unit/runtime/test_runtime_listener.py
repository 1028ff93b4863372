"""The listener for health and metrics."""

import asyncio
import json
import logging
import socket
import struct
import threading
import urllib.error
import urllib.request

import prometheus_client
import pytest

from vectorfleet_runtime import listener, logs


@pytest.fixture
def state():
    """What the probes answer; a test may change it."""
    return {"alive": "", "ready": ""}


@pytest.fixture
def address(state):
    """A running listener's URL."""
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Counter("seen", "help", registry=registry).inc()
    served = listener.Listener("127.0.0.1", 0, lambda: state["alive"], lambda: state["ready"], registry)
    yield f"http://127.0.0.1:{served.port}"
    served.close()


def get(url):
    """Return status and text."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_healthy_and_ready(address):
    """Both probes answer 200 where nothing is wrong."""
    assert get(address + "/health") == (200, "ok\n")
    assert get(address + "/ready") == (200, "ok\n")


def test_not_ready_says_why(address, state):
    """A probe that fails answers 503 with its reason."""
    state["ready"] = "replaying the log"

    assert get(address + "/ready") == (503, "replaying the log\n")
    assert get(address + "/health") == (200, "ok\n")


def test_metrics_are_served(address):
    """The registry is shown in Prometheus' text format."""
    assert "seen_total 1.0" in get(address + "/metrics")[1]


@pytest.mark.parametrize("path", ["/", "/debug", "/metrics/../health", "/Health", "/health/x"])
def test_nothing_else_is_served(address, path):
    """Only the three routes exist."""
    assert get(address + path)[0] == 404


def test_other_methods_are_refused(address):
    """The listener only reads."""
    request = urllib.request.Request(address + "/health", method="POST", data=b"x")

    assert get(request)[0] == 501


def test_loop_probe_passes_while_the_loop_turns():
    """A loop that runs callbacks is alive."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    answer = listener.loop_probe(loop)()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()

    assert answer == ""


def test_loop_probe_fails_when_the_loop_stands_still():
    """A loop that runs no callback within the timeout is not alive."""
    loop = asyncio.new_event_loop()
    answer = listener.loop_probe(loop, timeout=0.01)()
    loop.close()

    assert answer == "the event loop did not answer within 0.01 s"


def test_json_logs_carry_the_extras():
    """A record becomes one line of JSON with its variables as fields."""
    record = logging.makeLogRecord({"msg": "segment sealed", "levelname": "INFO", "name": "x", "rows": 3})
    line = json.loads(logs.JsonFormatter().format(record))

    assert (line["message"], line["level"], line["rows"]) == ("segment sealed", "info", 3)


def test_a_prober_that_has_gone_is_no_news(capfd, caplog):
    """Its timeout was shorter than the answer took: nothing is said of it."""
    asked, gone = threading.Event(), threading.Event()
    answer(asked, gone, lambda: "")
    assert (capfd.readouterr().err, caplog.text) == ("", "")


def test_a_probe_that_fails_is_logged(capfd, caplog):
    """As every process says things, not as a traceback between its lines."""
    asked, gone = threading.Event(), threading.Event()

    def fail():
        raise RuntimeError("a fault of ours")

    answer(asked, gone, fail)
    assert capfd.readouterr().err == ""
    assert "a fault of ours" in caplog.text


def answer(asked, gone, then):
    """Have a probe answer `then()` once its prober has gone, and wait until it has."""

    def probe():
        asked.set()
        gone.wait(30)
        return then()

    served = listener.Listener("127.0.0.1", 0, probe, probe, prometheus_client.CollectorRegistry())
    with socket.create_connection(("127.0.0.1", served.port)) as prober:
        prober.sendall(b"GET /ready HTTP/1.1\r\n\r\n")
        assert asked.wait(30)
        prober.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by a reset
    gone.set()
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(30)
    served.close()
