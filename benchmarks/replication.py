"""What replicas cost and give: writes, queries, filling a new member; by `vectorfleet up`."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import options
import report
from peers import contender, ours, processes, rest, workload, wrk

REPLICAS = (1, 2, 3)
_EFFORT = 100
_SECONDS = 3
_PATIENCE = 120.0
_MANIFEST = """apiVersion: vectorfleet.io/v1alpha1
kind: VectorIndex
metadata: {{name: bench}}
spec:
  model: {{name: measured, dimensions: {dimensions}}}
  metric: cosine
  shards: 1
  replicas: {replicas}
  storage: {{size: 4Gi}}
"""


def measure(given: options.Options) -> Iterator[report.Section]:
    """Load an index of one, two and three replicas, ask it, and let one more replica join."""
    data = given.data()
    part = dataclasses.replace(data, stored=data.stored[: min(len(data.stored), 30_000)])
    work = workload.Workload(part, contender.K)
    rows, joined = [], []
    for replicas in REPLICAS:
        options.say(f"an index of {replicas} replica(s)")
        with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
            folder = pathlib.Path(name)
            with _fleet(folder, work, replicas) as fleet:
                rows.append([replicas, *_ask(fleet, folder, work)])
                joined.append([replicas, *_join(fleet, work, replicas + 1)])
    yield _costs(rows, work)
    yield _joins(joined)


@dataclasses.dataclass(frozen=True)
class Fleet:
    """What `vectorfleet up` started in a state directory."""

    state: pathlib.Path

    def up(self, dimensions: int, replicas: int) -> None:
        """Make it so, and wait until it serves."""
        manifest = self.state.parent / "index.yaml"
        manifest.write_text(_MANIFEST.format(dimensions=dimensions, replicas=replicas))
        self.run("up", "-f", str(manifest))

    def run(self, *told: str) -> str:
        """Run the command; return what it prints."""
        command = [str(pathlib.Path(sys.executable).with_name("vectorfleet")), *told]
        command += ["--state-dir", str(self.state)]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout

    def index(self) -> dict[str, Any]:
        """Return what `vectorfleet status` says of the index."""
        (found,) = json.loads(self.run("status", "--output", "json"))["indexes"]
        return dict(found)

    def api(self) -> rest.Api:
        """Return how its gateway is spoken to."""
        index = self.index()
        return ours.api(index["endpoint"], pathlib.Path(index["apiKeyFile"]).read_text().strip())

    def shards(self) -> list[str]:
        """Return the addresses of the shard's pods."""
        return [pod["address"] for pod in self.index()["pods"] if "gateway" not in pod["name"]]


def _gauges(addresses: list[str], name: str) -> list[float]:
    """Return a gauge of each of some pods; none where one does not answer."""
    try:
        return [_gauge(address, name) for address in addresses]
    except (OSError, StopIteration):
        return []


def _gauge(address: str, name: str) -> float:
    host = address.partition(":")[0]
    with urllib.request.urlopen(f"http://{host}:9090/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


@contextlib.contextmanager
def _fleet(folder: pathlib.Path, work: workload.Workload, replicas: int) -> Iterator[Fleet]:
    fleet = Fleet(folder / "state")
    try:
        fleet.up(work.dimensions, replicas)
        yield fleet
    finally:
        fleet.run("down", "--delete-data")


def _ask(fleet: Fleet, folder: pathlib.Path, work: workload.Workload) -> list[report.Cell]:
    api = fleet.api()
    bodies = [ours.upsert(work, piece) for piece in work.pieces(ours.BATCH)]
    begin = time.perf_counter()
    rest.send_all(api, "POST", "/vectors/upsert", bodies)
    cells: list[report.Cell] = [work.count / (time.perf_counter() - begin)]
    shards = fleet.shards()  # once: asking takes a process
    _settle(shards)  # writes beside a build are the contest of the two for the cores
    single = folder / "single.jsonl"
    single.write_bytes(b"\n".join(ours.upsert(work, range(number, number + 1)) for number in range(1000)))
    for connections in (1, 8):
        told = wrk.command(
            f"{api.url}/vectors/upsert", single, api.usual, contender.Pressure(connections, _SECONDS)
        )
        load = wrk.run(told)
        cells += [load.per_second, load.p50, load.p99]
    _settle(shards)
    load = rest.Asked(api, work, folder).press(_EFFORT, contender.Pressure(8, _SECONDS))
    return [*cells, load.per_second, load.p50]


def _settle(shards: list[str]) -> None:
    """Wait until no replica has rows to build a graph of, or builds."""

    def busy() -> bool:
        names = ("vectorfleet_shard_unindexed_rows", "vectorfleet_shard_building")
        return any(any(_gauges(shards, name)) for name in names)

    processes.settled(lambda: not busy())


def _join(fleet: Fleet, work: workload.Workload, replicas: int) -> list[report.Cell]:
    """Let one more replica in; return seconds until it holds what others do, MiB, seconds a GiB."""
    size = max(_gauges(fleet.shards(), "vectorfleet_shard_disk_bytes"))
    begin = time.perf_counter()
    fleet.up(work.dimensions, replicas)
    shards = fleet.shards()
    while len(set(held := _gauges(shards, "vectorfleet_shard_seq"))) != 1 or len(held) != replicas:
        if time.perf_counter() - begin > _PATIENCE:
            raise TimeoutError(f"replica {replicas} did not join within {_PATIENCE:g} s")
        time.sleep(0.1)
        if len(shards) < replicas:
            shards = fleet.shards()
    seconds = time.perf_counter() - begin
    return [seconds, size / 2**20, seconds / (size / 2**30)]


def _costs(rows: list[list[report.Cell]], work: workload.Workload) -> report.Section:
    text = (
        f"{work.count:,} rows in batches of {ours.BATCH} by 4 connections; single rows by 1 and 8 callers; "
        f"queries by 8 callers at efSearch {_EFFORT}. A write is answered when a majority has it on disk. "
        "All replicas share this machine's cores and disk."
    )
    header = ["replicas", "rows/s, batches", "rows/s, 1 caller", "p50 ms", "p99 ms"]
    header += ["rows/s, 8 callers", "p50 ms", "p99 ms", "queries/s, 8 callers", "p50 ms"]
    return report.Section("What replicas cost", text, header, rows)


def _joins(rows: list[list[report.Cell]]) -> report.Section:
    text = (
        "One more replica, from the change of the manifest until it holds the same position as the others; "
        "its process starts within that."
    )
    header = ["replicas before", "seconds", "MiB on disk", "seconds a GiB"]
    return report.Section("Filling a new member", text, header, rows)
