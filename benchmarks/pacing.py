"""Asks queries one by one: at a steady pace, or one after the other.

At a steady pace a query's time counts from when it was due, so that what is held up counts in full.
"""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

RATE = 100
"""Queries a second: far from saturation, so that a builder gets what serving leaves."""
_SPIN = 2e-3  # seconds before a query is due in which the loop does not sleep: its timers are no finer

Noted = TypeVar("Noted")


@dataclasses.dataclass(frozen=True)
class Pace:
    """How queries come: `rate` a second, or one after the other where it is None."""

    name: str
    rate: int | None


STEADY = Pace(f"{RATE} queries/s", RATE)
PACES = (STEADY, Pace("one after the other", None))


async def ask(
    one: Callable[[int], Awaitable[Noted]], pace: Pace, goes_on: Callable[[int], bool]
) -> tuple[list[float], list[Noted]]:
    """Ask while `goes_on`, which is given how many queries there were.

    Args:
        one: asks the query of this number; what it returns is kept.
        pace: how queries come.
        goes_on: see above.

    Returns:
        The milliseconds that each took on the clock, and what each returned.
    """
    took: list[float] = []
    noted: list[Noted] = []
    due = time.perf_counter()
    while goes_on(len(took)):
        due = await _until(due, pace)
        noted.append(await one(len(took)))
        took.append((time.perf_counter() - due) * 1000)
        due = max(due + 1 / (pace.rate or 1), time.perf_counter() - 1)
    return took, noted


async def _until(due: float, pace: Pace) -> float:
    """Wait until a query is due; return when that is."""
    if pace.rate is None:
        await asyncio.sleep(0)
        return time.perf_counter()
    await asyncio.sleep(max(0.0, due - time.perf_counter() - _SPIN))
    while time.perf_counter() < due:  # noqa: ASYNC110 (timers are what is too coarse)
        await asyncio.sleep(0)
    return due
