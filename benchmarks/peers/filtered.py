"""What a filtered query costs from outside, over the network, beside the same query unfiltered.

The grid is that of the part `filters`: kinds of filter, by the share of rows that pass. Each cell is asked
with one filter again and again, and where a server may remember filters, with one that is new each time.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import filters
import numpy as np
import options
import report
from numpy.typing import NDArray

from . import contender, measuring, ours, pgvector, qdrant, rest, workload

EF = filters.EF
_ALONE, _TOGETHER = contender.Pressure(1, 1), contender.Pressure(8, 1)
_NEW = 20  # times that the queries are gone through with a new filter each time, so that few come twice
_QUICK = filters.SHARES[::3]
_SCAN = {"hnsw.iterative_scan": "relaxed_order"}

Tree = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Cell:
    """What one filter costs.

    Attributes:
        recall: of the nearest rows that pass.
        alone, together: with 1 and with 8 callers.
        new: with 1 caller, and filters that were not asked before; None where none are remembered.
    """

    recall: float
    alone: contender.Load
    together: contender.Load
    new: contender.Load | None


@dataclasses.dataclass(frozen=True)
class Question:
    """Queries, by their numbers, with filters.

    Attributes:
        work: the rows, and these queries.
        numbers: of the queries among all.
        trees: their filters, drawn in turn; empty: none.
    """

    work: workload.Workload
    numbers: range
    trees: Sequence[Tree] = ()


class Way(Protocol):
    """How a contender is filtered. `remembers`: whether it may know a filter that was asked before."""

    remembers: bool

    def started(
        self, folder: pathlib.Path, work: workload.Workload, fields: Mapping[str, type]
    ) -> contextlib.AbstractContextManager[contender.Running]:
        """Start it, with indexes of the fields."""
        ...

    def asked(self, running: contender.Running, question: Question, folder: pathlib.Path) -> contender.Asked:
        """Return it with these queries; prepared bodies may be kept in a folder."""
        ...


class Served:
    """One that is asked over HTTP: its queries, with a filter added to each."""

    def __init__(self, roots: Sequence[int], asked: rest.Asked) -> None:
        self.roots, self._asked = roots, asked

    def answers(self, effort: int) -> NDArray[np.int64]:
        """Ask every query once."""
        return self._asked.answers(effort)

    def press(self, effort: int, pressure: contender.Pressure) -> contender.Load:
        """Let wrk ask."""
        return self._asked.press(effort, pressure)


class Ours:
    """`vectorfleet serve`, without a schema: every field is indexed."""

    remembers = True

    @contextlib.contextmanager
    def started(
        self,
        folder: pathlib.Path,
        work: workload.Workload,
        fields: Mapping[str, type],  # noqa: ARG002  # none is declared
    ) -> Iterator[contender.Running]:
        """Start it."""
        with ours.Serve().start(folder, work) as running:
            yield running

    def asked(self, running: Any, question: Question, folder: pathlib.Path) -> contender.Asked:
        """Return the queries with `filter`."""
        api = _filtered(running.api, question.trees)
        return Served(running.roots, rest.Asked(api, question.work, folder))


class Qdrant:
    """Qdrant, with payload indexes that were made before the rows came."""

    remembers = True

    @contextlib.contextmanager
    def started(
        self, folder: pathlib.Path, work: workload.Workload, fields: Mapping[str, type]
    ) -> Iterator[contender.Running]:
        """Start it."""
        with qdrant.Qdrant().start(folder, work) as running:
            qdrant.index_fields(running.api, fields)
            yield running

    def asked(self, running: Any, question: Question, folder: pathlib.Path) -> contender.Asked:
        """Return the queries with `filter`."""
        api = _filtered(running.api, [qdrant.condition(tree) for tree in question.trees])
        return Served(running.roots, rest.Asked(api, question.work, folder))


class Pgvector:
    """pgvector: columns with B-trees; iterative scans, in any order, as filters want them."""

    remembers = False

    @contextlib.contextmanager
    def started(
        self, folder: pathlib.Path, work: workload.Workload, fields: Mapping[str, type]
    ) -> Iterator[contender.Running]:
        """Start it."""
        with pgvector.Pgvector().start(folder, work) as running:
            running.index_fields(fields)
            yield running

    def asked(
        self,
        running: Any,
        question: Question,
        folder: pathlib.Path,  # noqa: ARG002  # its queries lie in its tables
    ) -> contender.Asked:
        """Return the queries with a WHERE."""
        where = pgvector.condition(question.trees[0]) if question.trees else ""
        settings = _SCAN if where else {}
        narrow = pgvector.Narrow(question.numbers, question.work.k, where, settings)
        asked: contender.Asked = running.narrowed(narrow)
        return asked


WAYS: Mapping[str, Way] = {"serve": Ours(), "qdrant": Qdrant(), "pgvector": Pgvector()}
NAMES = {"serve": ours.Serve.name, "qdrant": qdrant.Qdrant.name, "pgvector": pgvector.Pgvector.name}


def measure(given: options.Options) -> Iterator[report.Section]:
    """Measure the grid at each contender that can be filtered and is here."""
    shares = _QUICK if given.quick else filters.SHARES
    data = given.data()
    columns, closest = filters.Columns(data), filters.near_place(data)
    # The first hundred queries are the usual ones, those behind them the nearest to the place.
    asked = np.concatenate([data.asked[: filters.QUERIES], data.asked[closest]])
    work = workload.Workload(dataclasses.replace(data, asked=asked), contender.K, columns.metadata)
    grids: dict[str, Grid] = {}
    for name in [one for one in given.contenders or tuple(WAYS) if one in WAYS]:
        try:
            grids[NAMES[name]] = _grid(WAYS[name], work, columns, shares)
        except contender.SkippedError as reason:
            options.say(f"{NAMES[name]} is skipped: {reason}")
            continue
        yield _section(NAMES[name], grids[NAMES[name]], work)
    if grids:
        yield _beside(grids, shares)


Grid = dict[tuple[str, float], tuple[Cell, Cell]]
"""For a kind of filter and a share of rows: what it costs, and what the same queries cost unfiltered."""


def _grid(way: Way, work: workload.Workload, columns: filters.Columns, shares: Sequence[float]) -> Grid:
    cells: Grid = {}
    fields: dict[str, type] = {name: type(value) for name, value in columns.metadata(0).items()}
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
        folder = pathlib.Path(name)
        with way.started(folder, work, fields) as running:
            options.say(f"{work.count:,} rows with metadata are loaded")
            running.load(running.prepare(work))
            running.settle()
            for kind, made in filters.KINDS.items():
                options.say(f"filtered: {kind}")
                numbers = _numbers(kind)
                base = _cell(way, running, work, numbers, None, None)
                for share in shares:
                    tree, mask = made(columns, share)
                    cells[kind, share] = _cell(way, running, work, numbers, tree, mask), base
    return cells


def _numbers(kind: str) -> range:
    start = filters.QUERIES if kind in filters.AROUND else 0
    return range(start, start + filters.QUERIES)


def _cell(
    way: Way,
    running: contender.Running,
    work: workload.Workload,
    numbers: range,
    tree: Tree | None,
    mask: NDArray[np.bool_] | None,
) -> Cell:
    passing = np.arange(work.count) if mask is None else np.flatnonzero(mask)
    data = dataclasses.replace(work.data, asked=work.data.asked[numbers.start : numbers.stop])
    few = dataclasses.replace(work, data=data, k=max(1, min(work.k, len(passing))))
    question = Question(few, numbers, [tree] if tree else ())
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
        asked = way.asked(running, question, pathlib.Path(name))
        found = asked.answers(EF)
        recall = workload.recall(found, data.exact(few.k, passing)) if len(passing) else _share_of_none(found)
        alone, together = (measuring.press(asked, EF, pressure) for pressure in (_ALONE, _TOGETHER))
    new = _new(way, running, question) if way.remembers and tree else None
    return Cell(recall, alone, together, new)


def _share_of_none(found: NDArray[np.int64]) -> float:
    return float((found < 0).mean())


def _new(way: Way, running: contender.Running, question: Question) -> contender.Load:
    """Ask with a filter that is new each time and passes the same rows."""
    work, [tree] = question.work, question.trees
    often = dataclasses.replace(work.data, asked=np.tile(work.data.asked, (_NEW, 1)))
    trees = [renewed(tree, number) for number in range(len(often.asked))]
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
        asked = way.asked(
            running,
            Question(dataclasses.replace(work, data=often), question.numbers, trees),
            pathlib.Path(name),
        )
        return measuring.press(asked, EF, _ALONE)


def renewed(tree: Tree, number: int) -> Tree:
    """Return a filter that passes the same rows as another one, and is unlike that of any other number.

    A bound of integers is lowered by less than one; a word that no row has is added to a list.
    """
    if "$and" in tree:
        return {"$and": [renewed(one, number) for one in tree["$and"]]}
    [(name, asked)] = tree.items()
    [(operator, value)] = asked.items()
    other = value - (number + 1) / 1_000_000 if operator == "$lt" else [*value, f"no word {number}"]
    return {name: {operator: other}}


def _filtered(api: rest.Api, trees: Iterable[Any]) -> rest.Api:
    """Return an API whose queries have filters, drawn in turn."""
    turns = itertools.cycle(trees)

    def body(vector: list[float], k: int, effort: int) -> object:
        made: Any = api.body(vector, k, effort)
        return made | {"filter": tree} if (tree := next(turns, None)) else made

    return dataclasses.replace(api, body=body)


def _section(name: str, grid: Grid, work: workload.Workload) -> report.Section:
    rows: list[list[report.Cell]] = []
    for (kind, share), (cell, base) in grid.items():
        row: list[report.Cell] = [kind, f"{share:.2%}", f"{cell.recall:.3f}"]
        row += [cell.alone.p50, cell.alone.p50 / base.alone.p50]
        row += [cell.alone.cpu, cell.alone.cpu / base.alone.cpu]
        row += [cell.together.per_second, base.together.per_second / cell.together.per_second]
        row += [cell.new.p50 / base.alone.p50, cell.new.cpu / base.alone.cpu] if cell.new else ["", ""]
        rows.append(row)
    text = (
        f"{work.count:,} rows, effort {EF}, {filters.QUERIES} queries. p50 and CPU of a query with 1 caller, "
        "queries/s with 8, and each as a multiple of the same queries without a filter, asked just before. "
        "New: with 1 caller, each filter unlike all before."
    )
    header = ["filter", "rows that pass", "recall@10", "p50 ms", "x", "CPU ms", "x", "queries/s, 8", "x"]
    relative = {at: (cell.recall, cell.alone.cpu / base.alone.cpu) for at, (cell, base) in grid.items()}
    plot = report.Plot(f"filtered-{name.partition(',')[0].lower()}", filters.draw(relative, f"{name}: "))
    return report.Section(
        f"Filtered queries: {name}", text, [*header, "new, p50 x", "new, CPU x"], rows, [plot]
    )


def _beside(grids: Mapping[str, Grid], shares: Sequence[float]) -> report.Section:
    rows: list[list[report.Cell]] = []
    for share in shares:
        row: list[report.Cell] = [f"{share:.2%}"]
        for grid in grids.values():
            at = [both for (_, one), both in grid.items() if one == share]
            recalls = [cell.recall for cell, _ in at]
            times = [cell.alone.p50 for cell, _ in at]
            dearer = [cell.alone.cpu / base.alone.cpu for cell, base in at]
            row += [f"{min(recalls):.3f}", f"{np.median(times):.2f}, {max(times):.2f}", max(dearer)]
        rows.append(row)
    header = ["rows that pass"]
    for name in grids:
        header += [f"{name}: least recall", "p50 ms, median and most", "CPU x unfiltered, most"]
    text = "Over all kinds of filter, each asked again and again; 1 caller."
    return report.Section("Filtered queries beside each other", text, header, rows)
