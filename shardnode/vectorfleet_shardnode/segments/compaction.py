"""Decides what to build next. Pure: sizes in, one action out.

A row is sealed twice at least: into a flat segment when the growing one is full, which costs a copy, and
into a graph when enough flat rows have come together or writes rest. Graphs are merged in tiers: `fanout`
segments of one tier make one of the next. So a row's graph links are computed once for each tier, about
1 + log_fanout(rows / rows of the first build) times, and queries see at most `fanout` segments a tier.
"""

import dataclasses
import enum
import math
from collections.abc import Sequence

from ..api import config


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
    rest_segments: int
    dead_share: float


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
        return Merge(tuple(size.name for size in flat), indexed=True)
    return (
        _merge_tier(policy, indexed)
        or _drop_dead(policy, indexed, resting=resting)
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


def _merge_flat(policy: Policy, flat: Sequence[Size], *, resting: bool) -> Merge | None:
    """Keep an index that is searched exactly in few segments."""
    if len(flat) > policy.rest_segments and (resting or len(flat) >= policy.fanout**2):
        return Merge(tuple(size.name for size in flat), indexed=False)
    return None


def _merge_tier(policy: Policy, indexed: Sequence[Size]) -> Merge | None:
    tiers: dict[int, list[str]] = {}
    for size in indexed:
        tiers.setdefault(int(math.log(size.live, policy.fanout)), []).append(size.name)
    for tier in sorted(tiers):
        if len(tiers[tier]) >= policy.fanout:
            return Merge(tuple(tiers[tier]), indexed=True)
    return None


def _drop_dead(policy: Policy, indexed: Sequence[Size], *, resting: bool) -> Merge | None:
    """Rewrite a segment that is walked through more dead rows than it should; sooner when writes rest."""
    bound = policy.dead_share if resting else 2 * policy.dead_share
    for size in indexed:
        if size.dead > bound * (size.live + size.dead):
            return Merge((size.name,), indexed=True)
    return None


def _settle(policy: Policy, indexed: Sequence[Size]) -> Merge | None:
    """Merge the smallest until few are left."""
    surplus = len(indexed) - policy.rest_segments
    if surplus <= 0:
        return None
    return Merge(tuple(size.name for size in indexed[: surplus + 1]), indexed=True)
