"""`vectorfleet upsert`: rows from files into an index, in batches."""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Annotated

import msgspec
import typer

from .. import batches, errors, results, rows
from . import inputs, options, output, progress, session

SHOWN_PROBLEMS = 20
"""Complaints that are printed one by one; the rest is counted."""


@dataclasses.dataclass
class Problems:
    """Counts what is wrong, and prints the first ones."""

    lines: int = 0
    shown: int = 0

    def bad_line(self, where: str, what: str) -> None:
        """Note an input line that is no row."""
        self.lines += 1
        self.show(f"{where}: {what}")

    def show(self, message: str) -> None:
        """Print a complaint, unless there were too many."""
        self.shown += 1
        if self.shown <= SHOWN_PROBLEMS:
            session.complain(output.printable(message))

    def finish(self) -> None:
        """Say how many complaints were not printed."""
        if self.shown > SHOWN_PROBLEMS:
            session.complain(f"… and {self.shown - SHOWN_PROBLEMS} more problems")


MAX_UNREACHED = 40
"""Batches in a row that reach nobody before the rest is given up: some seconds for a server to restart."""


@dataclasses.dataclass
class Reach:
    """Follows a load, and tells whether the index is gone."""

    unreached: int = 0
    successful: int = 0
    failures: int = 0

    def note(self, done: results.BatchResult) -> None:
        """Take what was done so far, after each batch."""
        if done.successful > self.successful:
            self.unreached = 0
        elif len(done.errors) > self.failures:
            failed = isinstance(done.errors[-1].error, errors.ConnectionFailedError)
            self.unreached = self.unreached + 1 if failed else 0
        self.successful, self.failures = done.successful, len(done.errors)

    @property
    def lost(self) -> bool:
        """Whether it is of no use to go on."""
        return self.unreached >= MAX_UNREACHED


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    """What an upsert did."""

    total: int
    successful: int
    failed: int
    success_rate: float
    seconds: float
    rows_per_second: float


def upsert(  # noqa: PLR0913  # a command's options are its parameters
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="JSON Lines, .parquet or .npy; - is standard input."),
    ],
    *,
    host: options.Host = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    api_key_file: options.ApiKeyFile = None,
    namespace: options.Namespace = "",
    ids: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--ids", show_default=False, help="One id a line for the rows of a .npy file; else 0, 1, …"
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, max=1000, help="Rows a request.")] = 500,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="Requests in flight.")] = 4,
    timeout: options.Timeout = 30.0,
    output_as: options.Format = options.Output.TABLE,
) -> None:
    """Write rows from files, replacing those with the same ids.

    A line of JSON Lines is `{"id": "a", "values": [0.1, 0.2], "metadata": {"colour": "red"}}`, with
    `"vectors": {"title": [0.3, 0.4]}` for vector fields and, where the metric is dotproduct,
    `"sparse_values": {"indices": [7], "values": [0.5]}`. An index with an embedder takes `"text": "…"` in
    place of values, in a Parquet file the column `text` where there is no column `values`. A Parquet file has
    the columns `id` and `values`; `vectors` and `sparse_values` (structs, or JSON) are as in a line,
    `metadata` and every other column become metadata.

    What is no row, or is refused, is named and left out, and the rest is written; the exit status is then 1.
    """
    problems = Problems()
    sources = [inputs.open_source(name, problems.bad_line, ids=ids, need_ids=True) for name in files]
    started, reach = time.monotonic(), Reach()
    with session.connect(host, api_key, api_key_file, timeout) as index:
        index.stats()  # a wrong address or key shows here, once, and not with every batch
        with progress.rows_bar("upsert", _total(sources)) as show:
            result = index.upsert_batch(
                _chain(sources, reach),
                namespace=namespace,
                batch_size=batch_size,
                concurrency=concurrency,
                progress=_each(reach, show),
            )
    for failure in result.errors:
        problems.show(_describe(failure))
    problems.finish()
    if reach.lost:
        session.complain(
            f"gave up: {MAX_UNREACHED} batches in a row did not reach the index; later rows were not read"
        )
    summary = _summarise(result, problems.lines, time.monotonic() - started)
    _show(summary, output_as)
    if summary.failed:
        raise typer.Exit(1)


def _total(sources: list[inputs.Source]) -> int | None:
    counts = [source.count for source in sources]
    return None if None in counts else sum(count or 0 for count in counts)


def _each(reach: Reach, show: Callable[[int], None]) -> batches.Progress:
    def step(done: results.BatchResult) -> None:
        reach.note(done)
        show(done.total)

    return step


def _chain(sources: list[inputs.Source], reach: Reach) -> Iterator[rows.RowLike]:
    for source in sources:
        for row in source.rows:
            if reach.lost:
                return
            yield row


def _describe(failure: results.BatchFailure) -> str:
    first, last, count = failure.ids[0], failure.ids[-1], len(failure.ids)
    if count == 1:
        return f"row {first!r} was not written: {failure.error}"
    return f"{count} rows, {first!r} to {last!r}, were not written: {failure.error}"


def _summarise(result: results.BatchResult, bad_lines: int, seconds: float) -> Summary:
    total = result.total + bad_lines
    return Summary(
        total=total,
        successful=result.successful,
        failed=result.failed + bad_lines,
        success_rate=result.successful / total if total else 1.0,
        seconds=round(seconds, 3),
        rows_per_second=round(result.successful / seconds, 1) if seconds else 0.0,
    )


def _show(summary: Summary, output_as: options.Output) -> None:
    if output_as is options.Output.JSON:
        output.write_json(summary)
        return
    numbers = [
        f"{summary.total:,}",
        f"{summary.successful:,}",
        f"{summary.failed:,}",
        f"{summary.success_rate:.2%}",
        f"{summary.seconds:.1f}",
        f"{summary.rows_per_second:,.0f}",
    ]
    headings = ["rows", "written", "failed", "success", "seconds", "rows/s"]
    output.write_table(headings, [numbers], numbers=headings)
