"""What a copy under way costs a shard that serves: queries and writes beside it, at several paces.

The source is a shard node of its own, a primary of one. Readers in other processes read all files of a
checkpoint, again and again, and throw them away: what a real receiver does to its own machine is not in these
figures, what reading takes from this machine's cores is. Files come from the page cache.

Each phase without a copy stands beside one with it, in turns, in one process. A query's time counts from when
it was due.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.sharedctypes import Synchronized

import datasets
import grpc
import numpy as np
import options
import report
import shard
from peers import processes

from vectorfleet_shardnode.api import config, replication_pb2, replication_pb2_grpc, shard_pb2, shard_pb2_grpc
from vectorfleet_shardnode.segments import manifest

PACES = (16, 32, 64, 128, 256, 1024)
"""MiB a second; the last one is more than there is."""
RATE = 100
"""Queries a second, as in `latency`: far from saturation."""
_TOKEN = "bench-token"
_METADATA = [("authorization", f"Bearer {_TOKEN}")]
_QUIET = {
    "GROWING_ROWS": 10**6,
    "GROWING_BYTES": 1 << 30,
    "SETTLE_SECONDS": 3600,
    "INDEX_AFTER_SECONDS": 3600,
}
"""While it is measured nothing is built: that is another part's to tell."""
_SAME_ROWS = 100  # that are written again and again
_WARM = 1.0
_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Spans:
    """How long is measured: rounds of each pace, seconds of each phase."""

    paces: tuple[int, ...]
    rounds: int
    queries: float
    writes: float


@dataclasses.dataclass
class Felt:
    """Milliseconds of each call; of the queries' phases: bytes copied, CPU seconds of the source, seconds."""

    queries: list[float] = dataclasses.field(default_factory=list)
    writes: list[float] = dataclasses.field(default_factory=list)
    copied: int = 0
    cpu: float = 0.0
    seconds: float = 0.0


def measure(given: options.Options) -> Iterator[report.Section]:
    """Ask and write beside copies at each pace, and beside two at once."""
    data = given.data()
    data = dataclasses.replace(data, stored=data.stored[:30_000])
    spans = Spans((64, 1024), 1, 2.0, 1.0) if given.quick else Spans(PACES, 3, 4.0, 3.0)
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
        source = Source(pathlib.Path(name), data)
        source.load()
        rows = []
        for pace, copies in (*((pace, 1) for pace in spans.paces), (spans.paces[0], 2)):
            options.say(f"{copies} copies at {pace} MiB/s")
            rows.append(_row(pace, copies, *source.beside(pace, copies, spans)))
    yield report.Section(
        "Serving while segments are copied",
        f"{len(data.stored):,} rows, {RATE} queries/s at efSearch 100, then single rows by one caller, "
        f"{spans.rounds} turns of {spans.queries:g} and {spans.writes:g} s without and with copies under way "
        "that share the pace. Readers use the same cores. CPU: the source's, beyond what it took without.",
        [
            *("MiB/s allowed", "copies", "MiB/s copied", "CPU s a GiB"),
            *("query p50 ms, idle", "copying", "query p99 ms, idle", "copying"),
            *("rows/s, idle", "copying", "write p99 ms, idle", "copying"),
        ],
        rows,
    )


def _row(pace: int, copies: int, idle: Felt, busy: Felt) -> list[report.Cell]:
    more = busy.cpu / busy.seconds - idle.cpu / idle.seconds
    speed = busy.copied / busy.seconds
    cells: list[report.Cell] = [pace, copies, speed / _MIB, more / speed * (1 << 30)]
    for percentile in (50, 99):
        cells += [float(np.percentile(one.queries, percentile)) for one in (idle, busy)]
    cells += [len(one.writes) / (sum(one.writes) / 1000) for one in (idle, busy)]
    return [*cells, *(float(np.percentile(one.writes, 99)) for one in (idle, busy))]


class Source:
    """A shard node that is a primary of one, and its folder."""

    def __init__(self, folder: pathlib.Path, data: datasets.Dataset) -> None:
        self._folder, self._data = folder, data
        self._port, self._health = processes.free_port(), processes.free_port()
        address = config.ShardAddress(number=0, replicas=(f"r0.bench.test:{self._port}",))
        serving = config.Generation(
            dimensions=data.stored.shape[1], metric=config.Metric.COSINE, shards=(address,)
        )
        (folder / "index.json").write_text(
            config.IndexConfig(index="bench", serving=serving).model_dump_json(by_alias=True)
        )
        (folder / "token").write_text(_TOKEN)
        (folder / "hosts").write_text("127.0.0.1 r0.bench.test\n")
        self._serving = serving.name

    def load(self) -> None:
        """Fill it, and wait until every row is in a graph."""
        with self._started({}) as (process, _):
            calls = Calls(self._port)
            calls.begin()
            for first in range(0, len(self._data.stored), 500):
                numbers = np.arange(first, min(first + 500, len(self._data.stored)))
                calls.shard.Write(shard.upsert(self._data.stored, numbers), metadata=_METADATA)
            processes.settled(lambda: not calls.is_busy())
            assert process.poll() is None

    def beside(self, pace: int, copies: int, spans: Spans) -> tuple[Felt, Felt]:
        """Measure without and with copies under way, in turns."""
        tuning = {name: str(value) for name, value in _QUIET.items()}
        with self._started(tuning | {"COPY_BYTES_PER_SECOND": str(pace * _MIB)}) as (process, _):
            calls, idle, busy = Calls(self._port), Felt(), Felt()
            processes.settled(calls.acknowledges, quiet=0.1)
            self._ask(calls, Felt(), _WARM)
            files = calls.files(self._serving)
            for _ in range(spans.rounds):
                self._phase(process.pid, calls, idle, spans, lambda: 0)
                with _reading(self._port, files, copies) as copied:
                    self._ask(calls, Felt(), _WARM)
                    self._phase(process.pid, calls, busy, spans, copied)
        return idle, busy

    def _phase(self, pid: int, calls: "Calls", felt: Felt, spans: Spans, copied: Callable[[], int]) -> None:
        cpu, began, before = _cpu_of(pid), time.perf_counter(), copied()
        self._ask(calls, felt, spans.queries)
        felt.copied += copied() - before
        felt.cpu += _cpu_of(pid) - cpu
        felt.seconds += time.perf_counter() - began
        self._write(calls, felt, spans.writes)

    def _ask(self, calls: "Calls", felt: Felt, seconds: float) -> None:
        due = time.perf_counter()
        for number in range(round(seconds * RATE)):
            time.sleep(max(0.0, due - time.perf_counter()))
            vector = self._data.asked[number % len(self._data.asked)]
            query = shard_pb2.Query(vector=vector.tobytes(), top_k=10, ef_search=100)
            calls.shard.Search(shard_pb2.SearchRequest(queries=[query]), metadata=_METADATA)
            felt.queries.append((time.perf_counter() - due) * 1000)
            due = max(due + 1 / RATE, time.perf_counter() - 1)

    def _write(self, calls: "Calls", felt: Felt, seconds: float) -> None:
        end, number = time.perf_counter() + seconds, 0
        while (began := time.perf_counter()) < end:
            row = np.array([number % _SAME_ROWS])
            calls.shard.Write(shard.upsert(self._data.stored, row), metadata=_METADATA)
            felt.writes.append((time.perf_counter() - began) * 1000)
            number += 1

    @contextlib.contextmanager
    def _started(self, tuning: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], pathlib.Path]]:
        log = self._folder / "said"
        environment = {
            "VECTORFLEET_CONFIG": str(self._folder / "index.json"),
            "VECTORFLEET_INTERNAL_TOKEN_FILE": str(self._folder / "token"),
            "VECTORFLEET_HOSTS_FILE": str(self._folder / "hosts"),
            "VECTORFLEET_DATA_DIR": str(self._folder / "data"),
            "VECTORFLEET_SHARD": "0",
            "VECTORFLEET_REPLICATED": "true",
            "VECTORFLEET_POD_NAME": "r0",
            "VECTORFLEET_GRPC_PORT": str(self._port),
            "VECTORFLEET_METRICS_PORT": str(self._health),
            **{f"VECTORFLEET_TUNING__{name}": value for name, value in tuning.items()},
        }
        with processes.started([sys.executable, "-m", "vectorfleet_shardnode"], log, environment) as process:
            processes.wait_until(lambda: Calls(self._port).answers(), process, log)
            yield process, log


class Calls:
    """One connection to the source."""

    def __init__(self, port: int) -> None:
        limits = [("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=limits)
        self.shard = shard_pb2_grpc.ShardStub(channel)  # type: ignore[no-untyped-call]
        self.replication = replication_pb2_grpc.ReplicationStub(channel)  # type: ignore[no-untyped-call]

    def report(self) -> shard_pb2.ReportReply:
        """Return what it says of itself."""
        said: shard_pb2.ReportReply = self.shard.Report(
            shard_pb2.ReportRequest(), metadata=_METADATA, wait_for_ready=True, timeout=10
        )
        return said

    def answers(self) -> bool:
        """Tell whether it is there."""
        try:
            return bool(self.report().index)
        except grpc.RpcError:
            return False

    def acknowledges(self) -> bool:
        """Tell whether it takes writes."""
        return self.report().replica.acknowledges

    def is_busy(self) -> bool:
        """Tell whether rows wait for a graph, or one is being built."""
        said = self.report()
        return bool(said.unindexed_rows) or said.building

    def begin(self) -> None:
        """Make it the primary of a configuration of its own, as the operator does."""
        me = self.report().replica.self
        wanted = replication_pb2.Configuration(epoch=1, primary="r0", members=[me], write_quorum=1)
        calls = self.replication
        calls.Seal(replication_pb2.SealRequest(epoch=1, begins=True), metadata=_METADATA)
        calls.Lead(replication_pb2.LeadRequest(configuration=wanted, seconds=10), metadata=_METADATA)
        calls.Configure(replication_pb2.ConfigureRequest(configuration=wanted), metadata=_METADATA)
        processes.settled(self.acknowledges, quiet=0.1)

    def files(self, generation: str) -> list[replication_pb2.ReadFileRequest]:
        """Have it make a checkpoint, and return what reads each file of it; it stays while it is read."""
        asked = replication_pb2.CheckpointRequest(index="bench", generation=generation, shard=0, epoch=1)
        taken = self.replication.Checkpoint(asked, metadata=_METADATA)
        return [
            replication_pb2.ReadFileRequest(checkpoint=taken.id, segment=listed.name, file=file)
            for listed in manifest.parse(taken.manifest).segments
            for file in listed.described.files
        ]


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextlib.contextmanager
def _reading(
    port: int, files: list[replication_pb2.ReadFileRequest], copies: int
) -> Iterator[Callable[[], int]]:
    """Let some readers copy, each in a process of its own; yields what tells how many bytes they have."""
    spawn = multiprocessing.get_context("spawn")
    counts = [spawn.Value("q", 0) for _ in range(copies)]
    readers = [spawn.Process(target=_read, args=(port, files, count)) for count in counts]
    for one in readers:
        one.start()
    try:
        processes.settled(lambda: all(count.value for count in counts), quiet=0.1, most=30)
        yield lambda: sum(count.value for count in counts)
    finally:
        for one in readers:
            one.terminate()
            one.join()


def _read(port: int, files: list[replication_pb2.ReadFileRequest], count: "Synchronized[int]") -> None:
    """Copy everything again and again, until ended."""
    calls = Calls(port).replication
    while True:
        for request in files:
            for chunk in calls.ReadFile(request, metadata=_METADATA):
                count.value += len(chunk.data)
