"""A million rows in two shards behind one gateway: a query at recall 0.95, and what loading took."""

import pathlib
import tempfile
import time
from collections.abc import Iterator

import datasets
import options
import report

from . import contender, measuring, ours, tuning, usage, workload

RECALL = 0.95
SHARDS = 2
_ROWS, _QUICK_ROWS, _QUERIES = 1_000_000, 20_000, 500


def measure(given: options.Options) -> Iterator[report.Section]:
    """Make rows around those that are given, load and settle them, and ask."""
    count = _QUICK_ROWS if given.quick else _ROWS
    data = datasets.grown(given.data(), count)
    work = workload.Workload(datasets.Dataset(data.title, data.stored, data.asked[:_QUERIES]), contender.K)
    options.say(f"{count:,} rows are made; the exact answers are computed")
    work.truth  # noqa: B018 (before anything else takes the cores)
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
        one = ours.Apart(SHARDS)
        with one.start(pathlib.Path(name), work) as running:
            yield _section(running, work, _load(running, work))


def _load(running: ours.Running, work: workload.Workload) -> str:
    """Load everything; say what that took."""
    options.say("the rows are written")
    begin = time.perf_counter()
    running.load(ours.upsert(work, piece) for piece in work.pieces(ours.BATCH))
    loaded = time.perf_counter() - begin
    options.say(f"loaded in {loaded:.0f} s; graphs are built")
    running.settle()
    settled = time.perf_counter() - begin
    resident = usage.resident_mib(running.roots)
    options.say(f"settled after {settled:.0f} s, {resident:,.0f} MiB")
    return (
        f"{work.count:,} rows in {SHARDS} shards and a gateway: written in {loaded:,.0f} s (their JSON "
        f"is made meanwhile, on the same cores), in graphs after {settled:,.0f} s, {resident:,.0f} MiB "
        "resident in all."
    )


def _section(running: ours.Running, work: workload.Workload, loading: str) -> report.Section:
    effort, recall = tuning.least(
        contender.EFFORTS, lambda asked: work.recall(running.answers(asked)), RECALL
    )
    measuring.press(running, effort, contender.Pressure(8, 2))
    rows: list[list[report.Cell]] = []
    for callers in measuring.CONNECTIONS:
        load = measuring.press(running, effort, contender.Pressure(callers, 5))
        rows.append([callers, load.per_second, load.p50, load.p95, load.p99, load.cpu])
    header = ["callers", "queries/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms"]
    text = f"{loading} Recall@{work.k} {recall:.3f} at efSearch {effort}."
    return report.Section("A million rows in two shards", text, header, rows)
