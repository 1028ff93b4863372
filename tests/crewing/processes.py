"""`vectorfleet serve` with workers, looked at from outside, and its callers."""

import concurrent.futures
import http.client
import json
import pathlib
import re
import threading
import time

import pytest
from services import loopback

START = ("--dimensions", "4", "--metric", "euclidean")
KEY = "test-key"
PATIENCE = 60


class Crew:
    """A process that serves with others beside it."""

    def __init__(self, serve, *options, workers=2, **more):
        self.metrics_port, self.number = loopback.free_port(), workers
        told = ("--metrics-port", str(self.metrics_port), "--workers", str(workers))
        self.served = serve(*START, *told, *options, **more)
        self.port, self.process = self.served.port, self.served.process
        self._callers = []

    def until_complete(self, starts=None):
        """Wait until all workers take connections, and `starts` were started."""
        self.until(
            lambda: (
                self.metric("vectorfleet_workers") == self.number - 1
                and self.metric("vectorfleet_worker_starts_total") >= (starts or self.number - 1)
            ),
            "the workers did not come up",
        )
        return self

    def until(self, reached, why):
        """Wait until something is reached."""
        end = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > end or self.process.poll() is not None:
                pytest.fail(f"{why}:\n{self.served.stderr()}")
            time.sleep(0.05)

    def metric(self, name):
        """Return a metric's value, with its labels as Prometheus writes them; -1 where it is not shown."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except OSError:
            return -1
        finally:
            connection.close()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else -1

    def connections(self):
        """Return how many connections each process was given."""
        names = [f'vectorfleet_worker_connections_total{{worker="{one}"}}' for one in range(self.number)]
        return [max(0, self.metric(name)) for name in names]

    def pids(self):
        """Return the pids of the workers that are there."""
        return [pid for pid in children(self.process.pid) if "vectorfleet.cli.workers" in arguments(pid)]

    def caller(self, connection=None):
        """Return a connection of one's own."""
        made = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self._callers.append(Caller(made))
        return self._callers[-1]

    def close(self):
        """Let all connections go."""
        for caller in self._callers:
            caller.connection.close()


class Caller:
    """One connection that is kept, for as long as the server keeps it."""

    def __init__(self, connection, key=KEY):
        self.connection, self.key, self.answered_at = connection, key, 0.0

    def ask(self, path, body):
        """Return status and answer."""
        fields = {"Api-Key": self.key, "Content-Type": "application/json"}
        self.connection.request("POST", path, json.dumps(body), fields)
        answer = self.connection.getresponse()
        read = answer.read()
        self.answered_at = time.monotonic()
        return answer.status, json.loads(read)

    def upsert(self, id_, values):
        """Write a row."""
        status, answer = self.ask("/vectors/upsert", {"vectors": [{"id": id_, "values": values}]})
        assert (status, answer) == (200, {"upsertedCount": 1})

    def nearest(self, values):
        """Return the id of the nearest row, None where there is none."""
        status, answer = self.ask("/query", {"vector": values, "topK": 1})
        assert status == 200, answer
        return answer["matches"][0]["id"] if answer["matches"] else None


def children(pid):
    """Return the pids of a process's children."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = entry.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == pid:
            found.append(int(entry.parent.name))
    return found


def arguments(pid):
    """Return a process's arguments, empty where it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_gone(pid):
    """Return whether a process is no more, or nobody has asked for its status yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def row(number):
    """Return the values of a row that is nearest to itself."""
    return [float(number % 10), float(number // 10 % 10), float(number // 100 % 10), float(number // 1000)]


class Load:
    """Callers who write and ask until nobody listens any more; each tells what was acknowledged.

    Args:
        serving: whom they ask.
        stays: whether it listens throughout, so that nobody who has just connected may be cut off.
        callers: how many.
    """

    def __init__(self, serving, *, stays, callers=6):
        self.serving, self.stays, self.ending = serving, stays, threading.Event()
        self.begun = [threading.Event() for _ in range(callers)]
        self.pool = concurrent.futures.ThreadPoolExecutor(callers)
        self.results = [self.pool.submit(self.run, number) for number in range(callers)]
        assert all(one.wait(PATIENCE) for one in self.begun)

    def run(self, number):
        acknowledged, caller = [], self.serving.caller()
        while not self.ending.is_set():
            id_ = f"c{number}-{len(acknowledged)}"
            try:
                caller.upsert(id_, row(len(acknowledged)))
                acknowledged.append(id_)
                assert caller.nearest(row(len(acknowledged))) is not None
            except ConnectionRefusedError:  # nobody listens any more: nothing was sent
                return acknowledged
            except ConnectionError:
                # On a machine that had no time for this caller its connection was idle, and closed.
                new = caller.answered_at == 0.0
                if (self.stays and new) or time.monotonic() - caller.answered_at < 0.9:
                    raise
                caller = self.serving.caller()
            if len(acknowledged) == 20:
                self.begun[number].set()
        return acknowledged

    def acknowledged(self):
        """Return all that was acknowledged, once everybody has ended."""
        return [id_ for one in self.results for id_ in one.result(PATIENCE)]
