"""Decides what to build next. Pure: sizes in, one action out.

A row is sealed twice at least: into a flat segment when the growing one is full, which costs a copy, and
into a graph when enough flat rows have come together or writes rest.

While rows pour in, graphs are merged in tiers: `fanout` segments of one tier make one of the next. So a
row's links are computed about 1 + log_fanout(rows / rows of the first build) times, and queries see fewer
than `fanout` segments a tier. When writes rest, the smallest segments are made into one as long as more
than `stale_share` of the result was outside the largest of them, or dead. What is left is one segment, or a
few of which each is larger than all smaller ones together by 1 / stale_share - 1; and a merge makes the
largest of its parts grow, or shrink, by that share, so a row takes part in at most
log(rows / rows of the first build) / log(1 / (1 - stale_share)) of them.
"""

import dataclasses
import enum
import math
from collections.abc import Sequence

from ..api import config

_JOINED = ""


class Pace(enum.Enum):
    """How writes come, since a build is worth more the more rows it takes in."""

    LOADING = enum.auto()  # rows pour in: wait for many, so that each is built into a graph once
    STEADY = enum.auto()  # rows come, and sealed ones have waited long enough
    RESTING = enum.auto()  # nothing has come for a while: tidy up


@dataclasses.dataclass(frozen=True)
class Policy:
    """Bounds. `unindexed_bytes`: vectors that may wait for a graph before one is built under way."""

    engine: config.EngineKind
    unindexed_bytes: int
    index_min_rows: int
    fanout: int
    stale_share: float


@dataclasses.dataclass(frozen=True)
class Size:
    """One sealed segment: its name, whether it has a graph, and its rows; `bytes` of live vectors."""

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
    """Make one segment of these, with a graph if `indexed`."""

    names: tuple[str, ...]
    indexed: bool


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
    indexed = sorted((size for size in sizes if size.indexed), key=lambda size: size.live)
    if policy.engine is config.EngineKind.FLAT:
        return _merge_flat(policy, flat, resting=resting)
    waiting = growing_rows + sum(size.live for size in flat)
    if resting and growing_rows and waiting >= policy.index_min_rows:
        return Flush()
    if _should_index(policy, flat, pace):
        return _index(policy, flat, indexed if resting else ())
    return (
        _merge_tier(policy, indexed)
        or _drop_dead(policy, indexed)
        or (_settle(policy, indexed) if resting else None)
    )


def waiting_rows(policy: Policy, growing_rows: int, sizes: Sequence[Size]) -> int:
    """Return how many live rows wait for a graph; 0 where they are so few that exact search is kept."""
    waiting = growing_rows + sum(size.live for size in sizes if not size.indexed)
    exact = policy.engine is config.EngineKind.FLAT or waiting < policy.index_min_rows
    return 0 if exact else waiting


def _should_index(policy: Policy, flat: Sequence[Size], pace: Pace) -> bool:
    rows, held = sum(size.live for size in flat), sum(size.bytes for size in flat)
    return rows >= policy.index_min_rows and (pace is not Pace.LOADING or held >= policy.unindexed_bytes)


def _index(policy: Policy, flat: Sequence[Size], indexed: Sequence[Size]) -> Merge:
    """Build a graph over the flat segments, and over those of the indexed that are worth it at once."""
    live, dead = sum(size.live for size in flat), sum(size.dead for size in flat)
    joined = Size(_JOINED, False, live, dead, sum(size.bytes for size in flat))
    taken = _stale(policy, [joined, *indexed])
    beside = [name for name in taken if name != _JOINED] if _JOINED in taken else []
    return Merge((*(size.name for size in flat), *beside), indexed=True)


def _merge_flat(policy: Policy, flat: Sequence[Size], *, resting: bool) -> Merge | None:
    """Keep an index that is searched exactly in few segments."""
    if resting or len(flat) >= policy.fanout**2:
        names = _stale(policy, flat)
        return Merge(names, indexed=False) if names else None
    return None


def _settle(policy: Policy, indexed: Sequence[Size]) -> Merge | None:
    """Make one of the smallest segments; rewrite one of which too much is dead."""
    names = _stale(policy, indexed)
    return Merge(names, indexed=True) if names else None


def _stale(policy: Policy, sizes: Sequence[Size]) -> tuple[str, ...]:
    """Return the most of the smallest segments that are worth a merge, smallest first."""
    ascending = sorted(sizes, key=lambda size: size.live)
    for count in range(len(ascending), 0, -1):
        chosen = ascending[:count]
        rows = sum(size.live + size.dead for size in chosen)
        if rows - chosen[-1].live > policy.stale_share * rows:
            return tuple(size.name for size in chosen)
    return ()


def _merge_tier(policy: Policy, indexed: Sequence[Size]) -> Merge | None:
    tiers: dict[int, list[str]] = {}
    for size in indexed:
        tiers.setdefault(int(math.log(size.live, policy.fanout)), []).append(size.name)
    for tier in sorted(tiers):
        if len(tiers[tier]) >= policy.fanout:
            return Merge(tuple(tiers[tier]), indexed=True)
    return None


def _drop_dead(policy: Policy, indexed: Sequence[Size]) -> Merge | None:
    """Rewrite a segment of which so much is dead that searches suffer, though writes don't rest."""
    for size in indexed:
        if size.dead > 2 * policy.stale_share * (size.live + size.dead):
            return Merge((size.name,), indexed=True)
    return None
