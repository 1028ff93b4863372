"""What clients did and saw while something was done to the cluster, and what it comes to. PURE."""

from __future__ import annotations

import bisect
import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Done:
    """One request from a client's view; times are of one clock, in seconds."""

    began: float
    ended: float
    error: str = ""
    """Empty where it was answered as it should be."""

    @property
    def seconds(self) -> float:
        """How long its client waited, retries included."""
        return self.ended - self.began


@dataclass
class History:
    """Every request of a load, from any thread."""

    writes: list[Done] = field(default_factory=list)
    reads: list[Done] = field(default_factory=list)
    retried: int = 0
    """Attempts that failed, of writes: their client repeated them."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledged_since(self, moment: float) -> int:
        """How many writes were acknowledged after a moment."""
        return sum(one.ended > moment for one in tuple(self.writes) if not one.error)

    def read_since(self, moment: float) -> int:
        """How many reads were answered after a moment."""
        return sum(one.ended > moment for one in tuple(self.reads) if not one.error)

    def failed_reads(self) -> list[str]:
        """What reads failed with."""
        return [one.error for one in self.reads if one.error]

    def failed_writes(self) -> list[str]:
        """What writes failed with, in spite of their client's retries."""
        return [one.error for one in self.writes if one.error]


@dataclass(frozen=True)
class Outcome:
    """One line of the table behind the tests: what an event did to clients. Times in seconds."""

    story: str
    writes: int
    failed_writes: int
    retried: int
    gap: float
    """The longest time in which no writer's write was acknowledged, from the last one before the event on."""
    recovered: float
    """From the event to the end of that gap."""
    slowest_write: float
    reads: int
    failed_reads: int
    slowest_read: float


def summarise(story: str, history: History, event: float) -> Outcome:
    """Return what an event at a moment came to."""
    acknowledged = sorted(one.ended for one in history.writes if not one.error)
    begin, end = longest_gap(acknowledged[max(0, bisect.bisect_left(acknowledged, event) - 1) :])
    return Outcome(
        story=story,
        writes=len(history.writes),
        failed_writes=len(history.failed_writes()),
        retried=history.retried,
        gap=end - begin,
        recovered=end - event,
        slowest_write=max((one.seconds for one in history.writes), default=0.0),
        reads=len(history.reads),
        failed_reads=len(history.failed_reads()),
        slowest_read=max((one.seconds for one in history.reads), default=0.0),
    )


def longest_gap(moments: Iterable[float]) -> tuple[float, float]:
    """Return the two neighbours of a row that are furthest apart; twice 0 where there are fewer than two."""
    pairs = list(itertools.pairwise(moments)) or [(0.0, 0.0)]
    return max(pairs, key=lambda pair: pair[1] - pair[0])


def table(outcomes: Iterable[Outcome]) -> list[str]:
    """One line for each event."""
    found = list(outcomes)
    width = max((len(one.story) for one in found), default=0)
    heading = f"{'event':<{width}}  writes failed retried    gap  event→ack  slowest   reads failed slowest"
    return [
        heading,
        *(
            f"{one.story:<{width}}  {one.writes:6} {one.failed_writes:6} {one.retried:7} {one.gap:5.1f}s"
            f" {one.recovered:9.1f}s {one.slowest_write:7.1f}s {one.reads:7} {one.failed_reads:6}"
            f" {one.slowest_read:6.2f}s"
            for one in found
        ),
    ]
