"""The main job on real data: start an index on this machine, load it, ask it, and measure.

    python examples/fashion_mnist/run.py [--dataset NAME] [--keep] [--output json] [--concurrency N]

Ends with 0 only if recall@10 is at least 0.95. Everything it started is gone afterwards, unless --keep.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import cluster as clusters
import datasets
import measure
import rich.box
import rich.console
import rich.progress
import rich.table

import vectorfleet

MANIFEST = pathlib.Path(__file__).parents[1] / "fashion-mnist.yaml"
FLOOR = 0.95
K = 10
QUERIES = 1_000
_SETTLE_SECONDS = 600

Result = TypeVar("Result")
console = rich.console.Console(stderr=True)


def main() -> int:
    """Run, print, and return the exit status."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is taken down
    try:
        with clusters.temporary(keep=options.keep) as cluster:
            results = run(cluster, options)
            show(results, options.output)
            if options.keep:
                console.print(
                    f"kept; look with: vectorfleet status {' '.join(cluster.state())}", soft_wrap=True
                )
                console.print(
                    f"end it with:     vectorfleet down --delete-data {' '.join(cluster.state())}",
                    soft_wrap=True,
                )
    except datasets.Missing as error:
        console.print(f"{error}", markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started is gone")
        return 130
    except subprocess.CalledProcessError as error:
        console.print(f"{' '.join(map(str, error.cmd))} failed:\n{error.stderr}", markup=False)
        return 1
    return 0 if results["recall@10"] >= FLOOR else 1


def run(cluster: clusters.Cluster, options: argparse.Namespace) -> dict[str, Any]:
    """Do the job and return what was measured."""
    concurrency = options.concurrency
    data = step("finding the data", lambda: datasets.load(options.dataset))
    console.print(f"{data.title}: {len(data.stored):,} x {data.dimensions}")
    step("starting the operator and the index", lambda: cluster.up(MANIFEST, data.dimensions))
    index = cluster.index()
    key = pathlib.Path(index["apiKeyFile"]).read_text().strip()
    with vectorfleet.Client(index["endpoint"], key) as client:
        loaded = load(client, data)
        indexed = loaded + settle(cluster, len(data.stored))
        asked = data.asked[:QUERIES]
        with bar("asking, one at a time", len(asked)) as seen:
            alone = measure.ask(client, asked, K, 1, seen)
        with bar(f"asking, {concurrency} at a time", len(asked)) as seen:
            together = measure.ask(client, asked, K, concurrency, seen)
    share = step("comparing with exact search", lambda: measure.recall(alone.ids, data.stored, asked, K))
    return {
        "dataset": data.title,
        "rows": len(data.stored),
        "rows/s": len(data.stored) / loaded,
        "load seconds": loaded,
        "indexed seconds": indexed,
        "recall@10": share,
        "p50 ms": alone.percentile(50),
        "p95 ms": alone.percentile(95),
        "p99 ms": alone.percentile(99),
        "queries/s": alone.per_second,
        f"queries/s, {concurrency} at a time": together.per_second,
        "memory MiB": {pod["name"]: pod["memoryBytes"] / 2**20 for pod in cluster.index()["pods"]},
    }


def load(client: vectorfleet.Client, data: datasets.Dataset) -> float:
    """Stream the rows in through the gateway and return the seconds that it took."""
    rows = (
        {"id": str(number), "values": vector, "metadata": {"kind": kind}}
        for number, (vector, kind) in enumerate(zip(data.stored, data.kinds, strict=True))
    )
    begin = time.perf_counter()
    with bar("loading", len(data.stored), "rows/s") as seen:
        result = client.upsert_batch(
            rows, batch_size=250, concurrency=4, progress=lambda done: seen(done.total)
        )
    if result.failed:
        raise SystemExit(f"{result.failed} rows failed: {result.errors[0]}")
    return time.perf_counter() - begin


def settle(cluster: clusters.Cluster, rows: int) -> float:
    """Wait until every row is covered by a graph and return the seconds that it took."""
    begin = time.perf_counter()
    with bar("indexing", rows) as seen:
        while (left := cluster.unindexed_rows()) and time.perf_counter() - begin < _SETTLE_SECONDS:
            seen(rows - left)
            time.sleep(0.5)
        seen(rows)
    return time.perf_counter() - begin


def show(results: dict[str, Any], output: str) -> None:
    """Print the results and what to try next."""
    if output == "json":
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
        return
    memory = results["memory MiB"]
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_header=False, title=results["dataset"])
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in results.items():
        if isinstance(value, float):
            table.add_row(name, f"{value:,.4f}" if name == "recall@10" else f"{value:,.1f}")
        elif isinstance(value, int):
            table.add_row(name, f"{value:,}")
    for name, mebibytes in memory.items():
        table.add_row(f"memory MiB, {name}", f"{mebibytes:,.0f}")
    out = rich.console.Console()
    out.print(table)
    out.print(
        "Next: make run ARGS=--keep leaves it running, or apply examples/fashion-mnist.yaml to a cluster."
    )


def step(what: str, action: Callable[[], Result]) -> Result:
    """Say what is being done while it is."""
    with console.status(what):
        return action()


class bar:  # noqa: N801  read as a verb
    """A progress bar; the block gets a function that takes what is done so far."""

    def __init__(self, what: str, total: int, unit: str = "") -> None:
        columns: list[Any] = [
            rich.progress.TextColumn("{task.description:24}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TimeRemainingColumn(),
        ]
        if unit:
            columns.append(rich.progress.TextColumn("{task.fields[speed]}"))
        self._progress = rich.progress.Progress(*columns, console=console)
        self._task = self._progress.add_task(what, total=total, speed="")
        self._unit = unit

    def __enter__(self) -> measure.Progress:
        self._progress.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _seen(self, done: int) -> None:
        speed = self._progress.tasks[0].speed
        shown = f"{speed:,.0f} {self._unit}" if speed else ""
        self._progress.update(self._task, completed=done, speed=shown)


def parse() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="leave the index running")
    parser.add_argument(
        "--dataset",
        choices=datasets.NAMES,
        default="auto",
        help="auto: Fashion-MNIST, or digits where it can't be had",
    )
    parser.add_argument("--output", choices=("table", "json"), default="table")
    parser.add_argument("--concurrency", type=int, default=8, help="queries at a time in the second round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
