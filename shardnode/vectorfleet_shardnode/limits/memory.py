"""Decides by memory: whether a write, a build or a start still fits. Pure: numbers in, a reason out.

Rule: below the soft limit everything is taken; above it nothing that grows, until use has sunk by a margin,
so that the answer does not flap; and nothing is begun that would come near the hard limit, where the kernel
kills.
"""

import dataclasses
import enum

MARGIN = 0.05
"""Share of the limit by which use must sink below the soft limit before writes are taken again."""
HARD_SHARE = 0.95
"""Share of the limit that nothing may be planned beyond."""
ATTEMPTS = 3
"""Starts that died in a row before the next one loads less."""
ADVICE = "delete rows, raise spec.resources.limits.memory, or add shards"


@dataclasses.dataclass(frozen=True)
class Bounds:
    """A limit in bytes, 0 for none, and the share of it at which writes that grow are refused."""

    limit: int
    soft_share: float = 0.85

    @property
    def soft(self) -> int:
        """Use above which writes that grow are refused."""
        return round(self.limit * self.soft_share)

    @property
    def release(self) -> int:
        """Use below which they are taken again."""
        return round(self.limit * (self.soft_share - MARGIN))

    @property
    def hard(self) -> int:
        """Use that nothing may be planned beyond."""
        return round(self.limit * HARD_SHARE)


@dataclasses.dataclass(frozen=True)
class Write:
    """What a write takes, in bytes.

    Attributes:
        growth: what it adds to the growing segment.
        flush: what sealing that segment will then take beside it.
        working: what is held beside it while it is written.
    """

    growth: int
    flush: int = 0
    working: int = 0


def refusal_of_write(bounds: Bounds, used: int, write: Write, *, pressed: bool) -> str:
    """Return why a write that grows is refused; empty where it is taken.

    Args:
        bounds: the limits.
        used: bytes in use.
        write: what it takes.
        pressed: whether writes were refused before, so that more room is asked for.
    """
    if not bounds.limit:
        return ""
    soft = bounds.release if pressed else bounds.soft
    height = used + write.growth + max(write.flush, write.working)
    if used + write.growth <= soft and height <= bounds.hard:
        return ""
    return (
        f"memory is short: {mib(used)} of {mib(bounds.limit)} are in use, and this write takes "
        f"{mib(write.growth)} "
        f"and {mib(write.flush)} when it is sealed; upserts and updates stop at {mib(bounds.soft)} and go "
        "on below "
        f"{mib(bounds.release)}; {ADVICE}"
    )


def is_pressed(bounds: Bounds, used: int, *, before: bool) -> bool:
    """Tell whether writes that grow are refused, whatever they bring; `before`: whether they were."""
    return bool(bounds.limit) and used > (bounds.release if before else bounds.soft)


def pressure(bounds: Bounds, used: int) -> str:
    """Return what to tell while writes are refused."""
    return (
        f"{mib(used)} of {mib(bounds.limit)} of memory are in use; upserts and updates are refused until it "
        "is less "
        f"than {mib(bounds.release)}; {ADVICE}"
    )


def refusal_of_build(bounds: Bounds, used: int, needed: int) -> str:
    """Return why a build of `needed` bytes at its height has to wait; empty where it fits."""
    if not bounds.limit or used + needed <= bounds.hard:
        return ""
    return (
        f"a merge of segments takes {mib(needed)}, and {mib(used)} of {mib(bounds.limit)} of memory are in "
        "use; it "
        f"waits, and more rows are searched exactly meanwhile; {ADVICE}"
    )


class Mode(enum.Enum):
    """How much of a shard a start loads."""

    FULL = enum.auto()
    EXACT = enum.auto()  # no graphs: every search compares with all rows, from mapped files
    NOTHING = enum.auto()  # not even that fits: only the reason is served


@dataclasses.dataclass(frozen=True)
class Load:
    """What a start takes: what runs already, segments without graphs, the graphs, the log's rows."""

    base: int
    segments: int
    graphs: int
    replay: int

    @property
    def exact(self) -> int:
        """Bytes without graphs."""
        return self.base + self.segments + self.replay


@dataclasses.dataclass(frozen=True)
class Start:
    """How a start goes on, and why it does less than all; empty where it does all."""

    mode: Mode
    reason: str = ""


def plan_start(bounds: Bounds, load: Load, died: int) -> Start:
    """Decide how much is loaded.

    Args:
        bounds: the limits.
        load: what it takes.
        died: how many starts before this one, with the same limit, were killed while they loaded.
    """
    if not bounds.limit:
        return Start(Mode.FULL)
    counted = f"; {died} starts were killed while they loaded" if died >= ATTEMPTS else ""
    if load.exact > bounds.hard or died >= 2 * ATTEMPTS:
        return Start(
            Mode.NOTHING,
            f"nothing is served: without any graph this shard takes {mib(load.exact)}, and the memory limit "
            "is "
            f"{mib(bounds.limit)}{counted}; raise spec.resources.limits.memory",
        )
    if load.exact + load.graphs > bounds.hard or died >= ATTEMPTS:
        return Start(
            Mode.EXACT,
            f"graphs are not loaded: with them this shard takes {mib(load.exact + load.graphs)}, and the "
            "memory limit "
            f"is {mib(bounds.limit)}{counted}; searches compare with every row, upserts and updates are "
            "refused; "
            f"{ADVICE}",
        )
    return Start(Mode.FULL)


def mib(count: int) -> str:
    """Return bytes for people."""
    return f"{count / (1 << 20):.0f} MiB"
