"""`vectorfleet serve`: how it starts, what it refuses, how it ends, and what it keeps."""

import concurrent.futures
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

import vectorfleet

START = ("--dimensions", "8", "--metric", "cosine")


def rows(count, start=0):
    """Return rows that differ."""
    matrix = np.random.default_rng(start).normal(size=(count, 8)).astype(np.float32)
    return [(f"r{start + number}", values, {"n": start + number}) for number, values in enumerate(matrix)]


def test_a_kill_loses_nothing_that_was_acknowledged(serve):
    """A kill -9 in the middle of a load, three times over: every acknowledged row is there, bit for bit."""
    acknowledged = {}
    for start in (0, 10_000, 20_000):
        served = serve(*START).until_ready()
        with served.client(retries=0) as index, concurrent.futures.ThreadPoolExecutor(1) as pool:
            for number in range(15):
                batch = rows(40, start + number * 40)
                index.upsert(batch)
                acknowledged |= {id_: values for id_, values, _ in batch}
            index.delete([f"r{start}"])
            del acknowledged[f"r{start}"]
            doomed = pool.submit(index.upsert, rows(500, start + 5000))
            served.process.kill()
            doomed.exception()
        assert served.stop() == -signal.SIGKILL
    with serve().until_ready().client() as index:
        found = index.fetch(list(acknowledged)).vectors
        assert {id_: row.values.tobytes() for id_, row in found.items()} == {
            id_: values.tobytes() for id_, values in acknowledged.items()
        }
        assert index.fetch(["r0", "r10000", "r20000"]).vectors == {}
        best = index.query(acknowledged["r77"], top_k=1).matches[0]
        assert best.id == "r77"


def test_signals_end_it_with_status_0(serve):
    """SIGTERM and Ctrl-C alike; what was written is there at the next start, which needs no dimensions."""
    served = serve(*START).until_ready()
    with served.client() as index:
        index.upsert(rows(10))
    assert served.stop(signal.SIGTERM) == 0, served.stderr()
    assert f"http://127.0.0.1:{served.port}" in served.stderr()
    assert "test-key" not in served.stderr()

    again = serve().until_ready()
    with again.client() as index:
        assert index.stats().total_vector_count == 10
    assert again.stop(signal.SIGINT) == 0, again.stderr()
    assert "Traceback" not in served.stderr() + again.stderr()


def test_requests_in_flight_are_finished(serve):
    """A body of which the server waits for the rest at SIGTERM is answered; then the process ends with 0."""
    served = serve(*START).until_ready()
    body = json.dumps({"vectors": [{"id": "late", "values": [1.0] * 8}]}).encode()
    head = (
        f"POST /vectors/upsert HTTP/1.1\r\nHost: x\r\nApi-Key: test-key\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/json\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        served.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            served.process.wait(0.5)
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 200 " in answer.split(b"\r\n")[0]
    assert served.stop() == 0
    with serve().until_ready().client() as index:
        assert "late" in index.fetch(["late"]).vectors


def test_what_the_folder_is_not_is_refused(serve):
    """A second process while the first one runs, and later another dimension or metric; each in one line."""
    served = serve(*START).until_ready()
    second = serve(*START)
    assert second.wait() == 1
    assert "another process serves" in second.stderr()
    assert served.stop() == 0
    for options, held in ((("--dimensions", "9"), "8"), (("--metric", "euclidean"), "cosine")):
        refused = serve(*options)
        assert refused.wait() == 1
        assert {held, options[1]} <= set(refused.stderr().replace(",", " ").replace(":", " ").split())
        assert refused.stderr().count("\n") == 1


def test_a_port_in_use_is_told(serve):
    """In one line that names address and port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        refused = serve(*START, port=port)
        assert refused.wait() == 1
    assert refused.stderr().count("\n") == 1
    assert f"127.0.0.1:{port}" in refused.stderr()


def test_metrics_and_health_have_a_port_of_their_own(serve, free_port_number):
    """And need no key; in JSON, each line of the log is an object."""
    served = serve(
        *START, "--metrics-port", str(free_port_number), "--log-format", "json", "--log-level", "info"
    ).until_ready()
    with served.client() as index:
        index.upsert(rows(3), namespace="m")
        index.query([1.0] * 8, namespace="m")
    base = f"http://127.0.0.1:{free_port_number}"
    assert _status(f"{base}/health") == 200
    end = time.monotonic() + 5  # requests are answered some moments before it says so
    while _status(f"{base}/ready") != 200:
        assert time.monotonic() < end
        time.sleep(0.01)
    with urllib.request.urlopen(f"{base}/metrics") as answer:
        text = answer.read().decode()
    assert 'vector_index_size_total{namespace="m"} 3.0' in text
    assert "vector_search_requests_total{" in text
    assert served.stop() == 0
    for line in served.lines:
        assert "message" in json.loads(line)


def _status(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_body_limit_of_one_s_own_is_kept(serve):
    """413 above it."""
    with serve(*START, "--max-body-bytes", "2048").until_ready().client() as index:
        index.upsert(rows(2))
        with pytest.raises(vectorfleet.TooLargeError):
            index.upsert(rows(100))


def _begin(served, announced, sent):
    """Begin an upsert whose body does not come to its end; return its connection."""
    held = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    fields = ("Host: x", "Api-Key: test-key", f"Content-Length: {announced}", "", "")
    held.sendall("\r\n".join(("POST /vectors/upsert HTTP/1.1", *fields)).encode() + b" " * sent)
    return held


def test_as_many_requests_as_it_was_told_are_under_way(serve):
    """One more is told to come again; the one that held the place is given up when its time is over."""
    served = serve(*START, "--max-requests", "1", "--request-timeout", "3").until_ready()
    with _begin(served, 1_000, 0) as held, served.client(retries=0) as index:
        with pytest.raises(vectorfleet.RateLimitError, match="the most"):
            _until_refused(index)
        assert held.recv(100).startswith(b"HTTP/1.1 408 ")
    with served.client() as index:
        assert index.stats().dimension == 8  # let in again


def test_as_many_bytes_as_it_was_told_are_under_way(serve):
    """A body that finds no room beside another is told to come again; alone it gets in."""
    served = serve(*START, "--max-bodies-bytes", "4096").until_ready()
    full = pytest.raises(vectorfleet.RateLimitError, match="may hold 2048")
    with _begin(served, 2_000, 1_500), served.client(retries=0) as index, full:
        _until_refused(index)
    with served.client() as index:
        index.upsert(rows(20))


def _until_refused(index):
    """Write until a request is refused: the one that stands in the way may still be on its way."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        index.upsert(rows(5))
