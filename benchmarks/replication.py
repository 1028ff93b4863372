"""What replicas cost and give: writes, queries, filling a new member; by `vectorfleet up`."""

import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Iterator

import fleet
import options
import report
from peers import contender, ours, rest, workload, wrk

REPLICAS = (1, 2, 3)
_EFFORT = 100
_SECONDS = 3
_PATIENCE = 120.0


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
            with fleet.started(folder, work.dimensions, replicas) as running:
                rows.append([replicas, *_ask(running, folder, work)])
                joined.append([replicas, *_join(running, work, replicas + 1)])
    yield _costs(rows, work)
    yield _joins(joined)


def _ask(running: fleet.Fleet, folder: pathlib.Path, work: workload.Workload) -> list[report.Cell]:
    api = running.api()
    bodies = [ours.upsert(work, piece) for piece in work.pieces(ours.BATCH)]
    begin = time.perf_counter()
    rest.send_all(api, "POST", "/vectors/upsert", bodies)
    cells: list[report.Cell] = [work.count / (time.perf_counter() - begin)]
    running.settle()  # writes beside a build are the contest of the two for the cores
    single = folder / "single.jsonl"
    single.write_bytes(b"\n".join(ours.upsert(work, range(number, number + 1)) for number in range(1000)))
    for connections in (1, 8):
        told = wrk.command(
            f"{api.url}/vectors/upsert", single, api.usual, contender.Pressure(connections, _SECONDS)
        )
        load = wrk.run(told)
        cells += [load.per_second, load.p50, load.p99]
    running.settle()
    load = rest.Asked(api, work, folder).press(_EFFORT, contender.Pressure(8, _SECONDS))
    return [*cells, load.per_second, load.p50]


def _join(running: fleet.Fleet, work: workload.Workload, replicas: int) -> list[report.Cell]:
    """Let one more replica in; return seconds until it holds what others do, MiB, seconds a GiB."""
    size = max(fleet.gauges(running.shards(), "vectorfleet_shard_disk_bytes"))
    begin = time.perf_counter()
    running.up(work.dimensions, replicas)
    shards = running.shards()
    while len(set(held := fleet.gauges(shards, "vectorfleet_shard_seq"))) != 1 or len(held) != replicas:
        if time.perf_counter() - begin > _PATIENCE:
            raise TimeoutError(f"replica {replicas} did not join within {_PATIENCE:g} s")
        time.sleep(0.1)
        if len(shards) < replicas:
            shards = running.shards()
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
