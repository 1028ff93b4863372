"""What callers feel while a replica, or a whole shard, is killed, paused or slow: by `vectorfleet up`.

Queries and single rows come at a steady pace all the while, and each one's time counts from when it was due.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

import fleet
import open_load
import options
import report
from peers import contender, ours, processes, rest, workload

ROWS = 20_000
QUERIES, WRITES = 100, 20
"""A second, of each; a machine of two cores has three replicas, a gateway and the callers on it."""
TIMEOUT_MS = 2000
"""That a caller waits."""
_BEFORE, _DURING, _AFTER = 5.0, 10.0, 10.0
_QUICK = 0.3  # of those, for a small run
_STOPPED, _GOES_ON = 0.09, 0.01  # seconds: one that is slow has a tenth of a core
_WARM, _SLACK = 1.0, 0.5  # seconds
_WHOLE = 120.0  # seconds in which what was done to an index has to be mended
_HEADERS = {"X-Request-Timeout-Ms": str(TIMEOUT_MS)}

Mark = tuple[float, float]
"""A moment, by `time.perf_counter`, and how many reads were hedged until then."""
Fault = Callable[[int], contextlib.AbstractContextManager[None]]


@dataclasses.dataclass(frozen=True)
class Size:
    """An index: its shards, and what there is of each."""

    shards: int
    replicas: int

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.shards} shard(s) of {self.replicas} replica(s)"


SIZES = (Size(1, 3), Size(2, 1))


@contextlib.contextmanager
def killed(pid: int) -> Iterator[None]:
    """Kill a process; the supervisor starts it again at once."""
    os.kill(pid, signal.SIGKILL)
    yield


@contextlib.contextmanager
def paused(pid: int) -> Iterator[None]:
    """Stop a process while the block lasts."""
    _tell(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        _tell(pid, signal.SIGCONT)


@contextlib.contextmanager
def slow(pid: int) -> Iterator[None]:
    """Let a process run in short turns while the block lasts."""
    healed = threading.Event()

    def pulse() -> None:
        while not healed.is_set():
            _tell(pid, signal.SIGSTOP)
            healed.wait(_STOPPED)
            _tell(pid, signal.SIGCONT)
            healed.wait(_GOES_ON)

    turns = threading.Thread(target=pulse)
    turns.start()
    try:
        yield
    finally:
        healed.set()
        turns.join()


def _tell(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # its probes may have ended it
        os.kill(pid, number)


FAULTS: dict[str, Fault] = {"killed": killed, "paused": paused, "slow": slow}


def measure(given: options.Options) -> Iterator[report.Section]:
    """Let each thing happen to each kind of process; tell what callers felt before, meanwhile and after."""
    data = given.data()
    part = dataclasses.replace(data, stored=data.stored[:ROWS])
    work = workload.Workload(part, contender.K)
    for size in SIZES:
        options.say(f"an index of {size.name}")
        with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
            folder = pathlib.Path(name)
            with fleet.started(folder, work.dimensions, size.replicas, size.shards) as running:
                bodies = [ours.upsert(work, piece) for piece in work.pieces(ours.BATCH)]
                rest.send_all(running.api(), "POST", "/vectors/upsert", bodies)
                running.settle()
                trial = Trial(running, size, work, _QUICK if given.quick else 1.0)
                yield _section(size, work, trial.all())


class Trial:
    """Faults of one index, one after the other, under one load.

    Args:
        running: the index.
        size: of it.
        work: what it holds, and what is asked.
        scale: of the usual times.
    """

    def __init__(self, running: fleet.Fleet, size: Size, work: workload.Workload, scale: float) -> None:
        self._running, self._size, self._scale, api = running, size, scale, running.api()
        bodies = [
            json.dumps({"vector": vector, "topK": work.k, "allowPartial": True}).encode()
            for vector in work.data.asked.tolist()
        ]
        self._loads = (
            lambda: _load(api, "/query", lambda number: bodies[number % len(bodies)], QUERIES),
            lambda: _load(api, "/vectors/upsert", lambda number: _row(work, number), WRITES),
        )

    def all(self) -> list[list[report.Cell]]:
        """Let everything happen; return a row for each stretch of time."""
        rows = []
        for whom, name in self._targets():
            for what, fault in FAULTS.items():
                options.say(f"{whom}, {what}")
                rows += [[f"{whom}, {what}", *row] for row in self._one(name, fault)]
        return rows

    def _targets(self) -> list[tuple[str, Callable[[], str]]]:
        """Return who is to suffer, and how to find that pod when its time has come."""
        if self._size.replicas == 1:
            return [("a shard", lambda: self._pods()[0])]

        def follower() -> str:
            return next(pod for pod in self._pods() if pod not in self._running.primaries())

        return [("a follower", follower), ("the primary", lambda: self._running.primaries()[0])]

    def _pods(self) -> list[str]:
        return [pod.name for pod in self._running.seen().pods if "gateway" not in pod.name]

    def _one(self, name: Callable[[], str], fault: Fault) -> list[list[report.Cell]]:
        """Let one thing happen under a load of its own; return the three stretches of time around it."""
        processes.settled(lambda: self._running.seen().ready, most=_WHOLE)
        chosen = name()
        pid = next(pod.pid for pod in self._running.seen().pods if pod.name == chosen)
        queries, writes = (load() for load in self._loads)
        with queries, writes:
            time.sleep(_WARM)
            marks = [self._mark()]
            time.sleep(_BEFORE * self._scale)
            marks.append(self._mark())
            with fault(pid):
                time.sleep(_DURING * self._scale)
            marks.append(self._mark())
            time.sleep(_AFTER * self._scale)
            marks.append(self._mark())
            time.sleep(TIMEOUT_MS / 1000)  # so that what was due until then is answered, or was not sent
        stretches = zip(("before", "meanwhile", "after"), marks, marks[1:], strict=False)
        return [[when, *_felt(queries, writes, begin, end)] for when, begin, end in stretches]

    def _mark(self) -> Mark:
        gateway = next(pod.address for pod in self._running.seen().pods if "gateway" in pod.name)
        return time.perf_counter(), sum(fleet.series(gateway, "vectorfleet_gateway_hedged_reads_total"))


def _load(api: rest.Api, path: str, body: Callable[[int], bytes], rate: int) -> open_load.Load:
    """Return a load with as many callers as may be waiting for answers at a time, and some more."""
    callers = round(rate * (TIMEOUT_MS / 1000 + _SLACK))
    return open_load.Load(api, path, body, rate=rate, headers=_HEADERS, callers=callers)


def _row(work: workload.Workload, number: int) -> bytes:
    chosen = number % work.count
    return ours.upsert(work, range(chosen, chosen + 1))


def _felt(queries: open_load.Load, writes: open_load.Load, begin: Mark, end: Mark) -> list[report.Cell]:
    asked, written = queries.between(begin[0], end[0]), writes.between(begin[0], end[0])
    hedged = round(end[1] - begin[1])
    cells: list[report.Cell] = [len(asked), *_times(asked), open_load.failed(asked)]
    cells += [open_load.partial(asked), hedged]
    return [*cells, len(written), *_times(written), open_load.failed(written)]


def _times(answers: list[open_load.Answer]) -> list[report.Cell]:
    return [*open_load.percentiles(answers)] or ["", "", ""]


def _section(size: Size, work: workload.Workload, rows: list[list[report.Cell]]) -> report.Section:
    text = (
        f"{size.name}, {work.count:,} rows, one gateway; {QUERIES} queries a second that allow partial "
        f"answers, and {WRITES} single rows a second, each given {TIMEOUT_MS / 1000:g} s. Before: "
        f"{_BEFORE:g} s, meanwhile: {_DURING:g} s from the fault on, after: {_AFTER:g} s from its end on. "
        "Killed: SIGKILL, and started again by the supervisor at once. Paused: SIGSTOP. Slow: SIGSTOP for 90 "
        "ms of every 100. Hedged: reads that were asked of a second replica as well."
    )
    header = ["", "", "queries", "p50 ms", "p99 ms", "most", "failed", "partial", "hedged"]
    header += ["writes", "p50 ms", "p99 ms", "most", "failed"]
    return report.Section(f"Load with faults: {size.name}", text, header, rows)
