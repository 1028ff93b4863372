"""Decides what to build next. Pure: sizes in, one action out.

A row is sealed twice at least: into a flat segment when the growing one is full, which costs a copy, and
into a graph when flat rows are so many that searching them exactly takes long, or when writes rest.

One rule says what is merged: of the smallest segments, as many as possible of which more than a share of
the rows are outside the largest, or too many are dead. So the smaller segments together are never more than
that share: it is `stale_share` while rows pour in, and a quarter of it when writes rest. Flat segments whose
rows are too few for a graph are kept few in the same way: rows that are written again and again leave one
after the other, each with a row or two that stays.

The graph of the largest is extended, so a row's links are computed when it comes into a graph, and again
only when its segment is merged into a larger one: that at least doubles the segment it is in, so at most
1 + log2(rows / first build) times; in a bulk load about once or twice. A graph in which more than
`stale_share` are dead is built anew instead. How often a row's bytes are copied is `most_copies`.
"""

import dataclasses
import enum
import math
from collections.abc import Sequence

_WATCHED_SHARE = 0.25
"""How much may wait while somebody searches and a graph can take it, as a share of what may else."""
MANY_FLAT = 16
"""Segments of an index without graphs that are merged though writes don't rest."""


class Pace(enum.Enum):
    """How writes come, since a build is worth more the more rows it takes in."""

    LOADING = enum.auto()  # rows pour in: wait for many, so that each is built into a graph once
    WATCHED = enum.auto()  # they do while somebody searches: wait for few, where a graph can take them
    STEADY = enum.auto()  # rows come, and sealed ones have waited long enough
    RESTING = enum.auto()  # nothing has come for a while: tidy up


@dataclasses.dataclass(frozen=True)
class Policy:
    """Bounds. `unindexed_bytes`: vectors that may wait for a graph before one is built under way."""

    indexes: bool
    unindexed_bytes: int
    index_min_rows: int
    stale_share: float


@dataclasses.dataclass(frozen=True)
class Size:
    """One sealed segment: its name, whether it has a graph, and its rows; `bytes` of live vectors.

    `dead` rows count whether they are stored still or only nodes of the graph.
    """

    name: str
    indexed: bool
    live: int
    dead: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Flush:
    """Seal the growing segment now, though it is not full."""


@dataclasses.dataclass(frozen=True)
class Merge:
    """Make one segment of these, with a graph if `indexed`: that of `extended`, or a new one."""

    names: tuple[str, ...]
    indexed: bool
    extended: str | None = None


Action = Flush | Merge


def plan(policy: Policy, growing_rows: int, sizes: Sequence[Size], pace: Pace) -> Action | None:
    """Return what to do next, None for nothing.

    Args:
        policy: the bounds.
        growing_rows: live rows that no segment holds yet.
        sizes: the sealed segments.
        pace: how writes come.
    """
    resting = pace is Pace.RESTING
    if empty := tuple(size.name for size in sizes if size.live == 0):
        return Merge(empty, indexed=False)
    flat = [size for size in sizes if not size.indexed]
    if not policy.indexes:
        return _merge_flat(policy, flat, resting=resting)
    waiting = growing_rows + sum(size.live for size in flat)
    if resting and growing_rows and waiting >= policy.index_min_rows:
        return Flush()
    indexed = [size for size in sizes if size.indexed]
    if (merge := _index(policy, flat, indexed, pace)) and _should_index(policy, flat, pace, merge):
        return merge
    if chosen := _stale(_bounds(policy, pace), indexed):
        return _merged(policy, chosen, pace)
    few = sum(size.live for size in flat) < policy.index_min_rows  # for a graph, now or later
    return _merge_flat(policy, flat, resting=resting) if few else None


def plan_without_graphs(policy: Policy, sizes: Sequence[Size]) -> Merge | None:
    """Return what is worth doing where no graph can be built: few flat segments, none mostly dead."""
    worn = [size for size in sizes if size.indexed and size.dead > size.live]
    if worn:
        return Merge((min(worn, key=lambda size: size.live).name,), indexed=False)
    return _merge_flat(policy, [size for size in sizes if not size.indexed], resting=False)


def waiting_rows(policy: Policy, growing_rows: int, sizes: Sequence[Size]) -> int:
    """Return how many live rows wait for a graph; 0 where they are so few that exact search is kept."""
    waiting = growing_rows + sum(size.live for size in sizes if not size.indexed)
    exact = not policy.indexes or waiting < policy.index_min_rows
    return 0 if exact else waiting


def most_copies(policy: Policy, pace: Pace, first: int, rows: int, replaced: float = 0.0) -> float:
    """Return how often merges copy a row at most, on average over the rows that were ever taken.

    A row is copied once into its first graph's segment. Whatever merge it takes part in then either makes the
    segment that it is in larger, by the share of rows outside the largest part, or drops the dead. From
    `first` rows to `rows` there are so many steps; and each row that dies makes a segment smaller, which is
    to be made up for, and pays for a part of the merge that drops it: twice at most, since the dead of a
    graph that is extended stay its nodes until it is built anew. Merges of flat segments whose rows are too
    few for a graph, fewer than `index_min_rows` for each that is flushed, come beside this.

    Args:
        policy: the bounds.
        pace: how writes come; a rest behind them adds two copies, at most, while rests that come again and
            again are of the pace `RESTING`.
        first: rows of the smallest segment that gets a graph.
        rows: live rows at the most.
        replaced: share of the rows taken that were replaced or deleted later.
    """
    bounds = _bounds(policy, pace)
    step = -math.log(1 - bounds.outside)
    grown = math.log(max(1.0, rows / first)) / step
    return 1 + grown + replaced * (1 / step + 2 * (1 - bounds.dead) / bounds.dead)


def _should_index(policy: Policy, flat: Sequence[Size], pace: Pace, merge: Merge) -> bool:
    """Tell whether flat segments should come into a graph now.

    Whoever searches compares with all rows that wait. But a small graph of their own would cost as much.
    """
    held = sum(size.bytes for size in flat)
    match pace:
        case Pace.LOADING:
            return held >= policy.unindexed_bytes
        case Pace.WATCHED:
            share = 1 if merge.extended is None else _WATCHED_SHARE
            return held >= policy.unindexed_bytes * share
    return True


@dataclasses.dataclass(frozen=True)
class _Bounds:
    """Shares of rows above which a merge is worth it: of those outside the largest part, and of the dead."""

    outside: float
    dead: float


def _bounds(policy: Policy, pace: Pace) -> _Bounds:
    if pace is Pace.RESTING:
        return _Bounds(policy.stale_share / 4, policy.stale_share)
    return _Bounds(policy.stale_share, 2 * policy.stale_share)


def _index(policy: Policy, flat: Sequence[Size], indexed: Sequence[Size], pace: Pace) -> Merge | None:
    """Bring flat segments into a graph, together with those of the indexed that are worth it.

    None where their rows are too few for one.
    """
    if sum(size.live for size in flat) < policy.index_min_rows:
        return None
    live, dead = sum(size.live for size in flat), sum(size.dead for size in flat)
    joined = Size("", False, live, dead, sum(size.bytes for size in flat))
    chosen = _stale(_bounds(policy, pace), [joined, *indexed])
    beside = [size for size in chosen if size.indexed] if joined in chosen else []
    return _merged(policy, [*flat, *beside], pace)


def _merged(policy: Policy, chosen: Sequence[Size], pace: Pace) -> Merge:
    """Decide whose graph is extended: the largest, unless too many of its nodes are dead."""
    names = tuple(size.name for size in chosen)
    graphs = [size for size in chosen if size.indexed]
    if not graphs:
        return Merge(names, indexed=True)
    largest = max(graphs, key=lambda size: size.live)
    worn = largest.dead > _bounds(policy, pace).dead * (largest.live + largest.dead)
    return Merge(names, indexed=True, extended=None if worn else largest.name)


def _merge_flat(policy: Policy, flat: Sequence[Size], *, resting: bool) -> Merge | None:
    """Keep an index that is searched exactly in few segments."""
    if not resting and len(flat) < MANY_FLAT:
        return None
    chosen = _stale(_bounds(policy, Pace.STEADY), flat)
    return Merge(tuple(size.name for size in chosen), indexed=False) if chosen else None


def _stale(bounds: _Bounds, sizes: Sequence[Size]) -> list[Size]:
    """Return the most of the smallest segments that are worth a merge; smallest first."""
    ascending = sorted(sizes, key=lambda size: size.live)
    for count in range(len(ascending), 0, -1):
        chosen = ascending[:count]
        live, dead = sum(size.live for size in chosen), sum(size.dead for size in chosen)
        if live - chosen[-1].live > bounds.outside * live or dead > bounds.dead * (live + dead):
            return chosen
    return []
