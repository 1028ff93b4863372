"""Filtered search: recall and time against the unfiltered query, by share of passing rows and kind of filter.

Every vector has numbers that its filter asks for: some of no relation to it, some that say how near it is to
one place, so that what passes is near the queries, or far from all of them.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import contest
import datasets
import faiss
import numpy as np
import options
import report
import shard
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from vectorfleet_shardnode import filters as language
from vectorfleet_shardnode.api import shard_pb2
from vectorfleet_shardnode.segments import part

K, EF = 10, 100
SHARES = (0.5, 0.2, 0.1, 0.05, 0.01, 0.001, 0.0001)
QUERIES = 100
WORDS = 20
UNFILTERED = "unfiltered"
_STEPS = 10_000
_PLACE = 17  # the query that is the place
_COLD = 7

Rows = NDArray[np.int64]


def near_place(data: datasets.Dataset) -> Rows:
    """Return the queries nearest to the place."""
    nearest: Rows = np.argsort(-(data.asked @ data.asked[_PLACE]))[:QUERIES]
    return nearest


class Columns:
    """The metadata: for each row numbers of 0 to 9,999, and what passes a filter by them.

    `chance`, `second` and `third` have no relation to the vectors; `near` falls with the distance from a
    place and `far` rises, evenly spread; `kinds` has for each share a word of which 20 make up the share.
    """

    def __init__(self, data: datasets.Dataset) -> None:
        random, count = np.random.default_rng(3), len(data.stored)
        ranks = np.empty(count, np.int64)
        ranks[np.argsort(-(data.stored @ data.asked[_PLACE]), kind="stable")] = np.arange(count)
        spread = [random.permutation(count) * _STEPS // count for _ in range(3)]
        near = ranks * _STEPS // count
        self.values = dict(zip(("chance", "second", "third"), spread, strict=True))
        self.values |= {"near": near, "far": _STEPS - 1 - near}
        self.words = {share: (random.random(count) * WORDS / share).astype(np.int64) for share in SHARES}

    def metadata(self, row: int) -> dict[str, int | str]:
        """Return a row's metadata."""
        numbers = {name: int(column[row]) for name, column in self.values.items()}
        words = {kind_of(share): f"word {column[row]}" for share, column in self.words.items()}
        return numbers | words

    def below(self, name: str, share: float) -> tuple[dict[str, Any], NDArray[np.bool_]]:
        """Return a range filter that this share of all rows passes, and those rows."""
        limit = max(1, round(share * _STEPS))
        return {name: {"$lt": limit}}, self.values[name] < limit

    def any_of(self, share: float) -> tuple[dict[str, Any], NDArray[np.bool_]]:
        """Return an any-of filter that this share passes, and those rows."""
        listed = [f"word {number}" for number in range(WORDS)]
        return {kind_of(share): {"$in": listed}}, self.words[share] < WORDS

    def all_of(self, names: tuple[str, ...], share: float) -> tuple[dict[str, Any], NDArray[np.bool_]]:
        """Return an AND of ranges that about this share passes together, and those rows."""
        each = [self.below(name, share ** (1 / len(names))) for name in names]
        return {"$and": [tree for tree, _ in each]}, np.logical_and.reduce([mask for _, mask in each])


def kind_of(share: float) -> str:
    """Return the field whose words make up a share."""
    return f"kind{round(share * _STEPS)}"


KINDS = {
    "range": lambda columns, share: columns.below("chance", share),
    "any of": lambda columns, share: columns.any_of(share),
    "two ANDs": lambda columns, share: columns.all_of(("chance", "second"), share),
    "three ANDs": lambda columns, share: columns.all_of(("chance", "second", "third"), share),
    "near rows pass": lambda columns, share: columns.below("near", share),
    "far rows pass": lambda columns, share: columns.below("far", share),
}
"""The last two are asked with the queries nearest to the place; the others with the first ones."""
AROUND = tuple(kind for kind in KINDS if "pass" in kind)


def measure(given: options.Options) -> Iterator[report.Section]:
    """Measure the grid on one settled shard."""
    yield asyncio.run(_measure(given.data()))


async def _measure(data: datasets.Dataset) -> report.Section:
    count, columns, closest = len(data.stored), Columns(data), near_place(data)
    async with shard.room(data.stored.shape[1]) as room:
        options.say(f"a shard loads {count:,} rows with metadata and settles")
        await _load(room, data, columns)
        await room.settled()
        cells = {
            (kind, share): _cell(
                room, data, closest if kind in AROUND else np.arange(QUERIES), made(columns, share)
            )
            for kind, made in KINDS.items()
            for share in SHARES
        }
    return _section(count, cells)


async def _load(room: shard.Room, data: datasets.Dataset, columns: Columns) -> None:
    for start in range(0, len(data.stored), 500):
        numbers = range(start, min(start + 500, len(data.stored)))
        rows = shard_pb2.Rows(
            ids=[str(number) for number in numbers],
            vectors=data.stored[start : numbers.stop].tobytes(),
            metadata=[json.dumps(columns.metadata(number)).encode() for number in numbers],
        )
        await room.served.write(shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=rows)))


def _cell(
    room: shard.Room,
    data: datasets.Dataset,
    queries: Rows,
    made: tuple[dict[str, Any], NDArray[np.bool_]],
) -> dict[str, float]:
    tree, mask = made
    passing, asked = np.flatnonzero(mask), data.asked[queries]
    k = min(K, len(passing))
    truth = datasets.Dataset("", data.stored, asked).exact(k, passing)
    cold = _first(room, asked, tree)
    found = contest.compare(
        asked, truth, {UNFILTERED: _answer(room, None), "filtered": _answer(room, tree)}, rounds=5
    )
    warm, base = 1000 / found["filtered"].per_cpu_second, 1000 / found[UNFILTERED].per_cpu_second
    return {
        "rows": len(passing),
        "recall": found["filtered"].recall,
        "cold": cold,
        "warm": warm,
        "base": base,
    }


def _answer(room: shard.Room, tree: dict[str, Any] | None) -> contest.Answer:
    state, source = room.opened.shard.snapshot, json.dumps(tree).encode() if tree else b""

    def answer(query: NDArray[np.float32]) -> list[int]:
        question = part.Question(
            namespace="",
            queries=state.comparable(query),
            k=K,
            wanted=language.parse(source),
            ef=EF,
            exact=False,
        )
        place = state.search(question)[0][1]
        return [int(one) for one in state.take(place, part.Fields(False, False)).ids]

    return answer


def _first(room: shard.Room, asked: NDArray[np.float32], tree: dict[str, Any]) -> float:
    """Return the milliseconds of a query whose filter was never seen, its fields' files read before."""
    faiss.omp_set_num_threads(1)
    took = []
    for number in range(-1, _COLD):
        tree = {"$and": [tree]}  # one that was not asked before, and costs as much
        answer = _answer(room, tree)
        begin = time.process_time()
        answer(asked[number : number + 1] if number > 0 else asked[:1])
        took.append(time.process_time() - begin)
    return float(np.median(took[1:])) * 1000


def _section(count: int, cells: dict[tuple[str, float], dict[str, float]]) -> report.Section:
    rows = [
        [
            kind,
            f"{share:.2%}",
            int(cell["rows"]),
            f"{cell['recall']:.3f}",
            cell["warm"],
            cell["warm"] / cell["base"],
            cell["cold"],
            cell["cold"] / cell["base"],
        ]
        for (kind, share), cell in cells.items()
    ]
    relative = {at: (cell["recall"], cell["warm"] / cell["base"]) for at, cell in cells.items()}
    least = min(cell["recall"] for cell in cells.values())
    worst = max(cell["warm"] / cell["base"] for cell in cells.values())
    worst_cold = max(cell["cold"] / cell["base"] for cell in cells.values())
    text = (
        f"{count:,} rows, k {K}, efSearch {EF}, {QUERIES} queries one by one in one thread, in turns with "
        f"the same queries unfiltered; the CPU's time. Cold: the median of {_COLD} queries whose filter was "
        "never asked. In "
        "the last two kinds what passes is near one place, or far from it, and the queries are those nearest "
        "to that place. "
        f"Least recall {least:.3f}; slowest cell {worst:.1f} x the unfiltered query, {worst_cold:.1f} x cold."
    )
    header = ["filter", "rows that pass", "", "recall@10", "CPU ms", "x unfiltered", "cold ms", "cold x"]
    return report.Section("Filtered search", text, header, rows, [report.Plot("filters", draw(relative))])


def draw(cells: dict[tuple[str, float], tuple[float, float]], of: str = "") -> plt.Figure:
    """Draw recall and slow-down, of a kind of filter and a share of rows that pass, as two heat maps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), constrained_layout=True)
    shares = list(dict.fromkeys(share for _, share in cells))
    both = np.array([[cells[kind, share] for share in shares] for kind in KINDS])
    for axes, values, title, limits, colours in (
        (left, both[..., 0], f"{of}recall@10", (0.9, 1), "RdYlGn"),
        (right, both[..., 1], f"{of}CPU, as a multiple of the unfiltered query", (0, 4), "RdYlGn_r"),
    ):
        axes.imshow(values, aspect="auto", cmap=colours, vmin=limits[0], vmax=limits[1])
        axes.set_xticks(range(len(shares)), [f"{share:.2%}" for share in shares])
        axes.set_yticks(range(len(KINDS)), list(KINDS))
        axes.set(title=title, xlabel="rows that pass")
        for (row, column), value in np.ndenumerate(values):
            axes.text(
                column, row, f"{value:.3f}" if limits[1] == 1 else f"{value:.1f}", ha="center", va="center"
            )
    return figure
