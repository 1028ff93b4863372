"""What replicas cost and give: writes, queries, filling a new member; by `vectorfleet up`.

With `--fill GIB` one more member is filled, of as many GiB of vectors: 1,536 normally distributed numbers a
row, rounded to three decimals, from a seed. Such rows have no neighbours worth a graph, and to build one
takes longer than all the rest, so that index is flat; what is copied is files, whatever is in them.
"""

import dataclasses
import json
import pathlib
import tempfile
import time
from collections.abc import Iterator

import fleet
import numpy as np
import options
import report
from peers import contender, ours, rest, workload, wrk

REPLICAS = (1, 2, 3)
_EFFORT = 100
_SECONDS = 3
_PATIENCE = 120.0
_PATIENCE_A_GIB = 300.0
_WIDE = 1536
_WIDE_BATCH = 100
_SEED = 11
_FLAT = "  index: {type: flat}\n"


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
                joined.append([replicas, *_join(running, work.dimensions, replicas + 1)])
    yield _costs(rows, work)
    yield _joins(joined)
    if given.fill:
        yield _fill(given.fill)


def _fill(gib: float) -> report.Section:
    """Load so many GiB into an index of one replica, and let a second one join."""
    count = round(gib * 2**30 / (4 * _WIDE))
    options.say(f"a member of {count:,} rows is filled")
    with (
        tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name,
        fleet.started(pathlib.Path(name), _WIDE, 1, more=_FLAT) as running,
    ):
        begin = time.perf_counter()
        rest.send_all(running.api(), "POST", "/vectors/upsert", _wide_bodies(count))
        loaded = time.perf_counter() - begin
        running.settle()
        row = [count, loaded, *_join(running, _WIDE, 2, _FLAT, _PATIENCE + gib * _PATIENCE_A_GIB)]
    text = (
        f"One replica of {count:,} rows of {_WIDE} normally distributed numbers, made from a seed, no graph; "
        "a second one joins, as above. Each side keeps to `copy_bytes_per_second`."
    )
    header = ["rows", "seconds to load", "seconds to fill", "MiB on disk", "seconds a GiB"]
    return report.Section("Filling a large member", text, header, [row])


def _wide_bodies(count: int) -> Iterator[bytes]:
    """Yield the bodies of upserts of `count` rows, made as they are asked for."""
    random = np.random.default_rng(_SEED)
    for first in range(0, count, _WIDE_BATCH):
        rows = min(_WIDE_BATCH, count - first)
        values = random.standard_normal((rows, _WIDE), np.float32).astype(float).round(3).tolist()
        vectors = [{"id": f"row-{first + at}", "values": one} for at, one in enumerate(values)]
        yield json.dumps({"vectors": vectors}).encode()


def _ask(running: fleet.Fleet, folder: pathlib.Path, work: workload.Workload) -> list[report.Cell]:
    api = running.api()
    bodies = [ours.upsert(work, piece) for piece in work.pieces(ours.BATCH)]
    begin = time.perf_counter()
    took = rest.send_all(api, "POST", "/vectors/upsert", bodies)
    cells: list[report.Cell] = [work.count / (time.perf_counter() - begin)]
    cells += [float(one) * 1000 for one in np.percentile(took, (50, 99))]
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
    return [*cells, load.per_second, load.p50, load.p99]


def _join(
    running: fleet.Fleet, dimensions: int, replicas: int, more: str = "", patience: float = _PATIENCE
) -> list[report.Cell]:
    """Let one more replica in; return seconds until it holds what others do, MiB, seconds a GiB."""
    size = max(fleet.gauges(running.shards(), "vectorfleet_shard_disk_bytes"))
    begin = time.perf_counter()
    running.up(dimensions, replicas, more=more)
    shards = running.shards()
    while len(set(held := fleet.gauges(shards, "vectorfleet_shard_seq"))) != 1 or len(held) != replicas:
        if time.perf_counter() - begin > patience:
            raise TimeoutError(f"replica {replicas} did not join within {patience:g} s")
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
    header = ["replicas", "rows/s, batches", "p50 ms", "p99 ms", "rows/s, 1 caller", "p50 ms", "p99 ms"]
    header += ["rows/s, 8 callers", "p50 ms", "p99 ms", "queries/s, 8 callers", "p50 ms", "p99 ms"]
    return report.Section("What replicas cost", text, header, rows)


def _joins(rows: list[list[report.Cell]]) -> report.Section:
    text = (
        "One more replica, from the change of the manifest until it holds the same position as the others; "
        "its process starts within that."
    )
    header = ["replicas before", "seconds", "MiB on disk", "seconds a GiB"]
    return report.Section("Filling a new member", text, header, rows)
