"""Asks queries one by one: at a steady pace, or one after the other.

At a steady pace a query's time counts from when it was due, so that what is held up counts in full. Another
process says when that is: whoever waited for it here would keep a core busy, and use up its turn on it.
"""

import asyncio
import contextlib
import dataclasses
import os
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

RATE = 100
"""Queries a second: far from saturation, so that a builder gets what serving leaves."""
_DUE = struct.Struct("<d")
_CLOCK = """
import os, struct, sys, time
start, number = time.perf_counter(), 0
while os.getppid() == int(sys.argv[2]):
    number += 1
    due = start + number / float(sys.argv[1])
    time.sleep(max(0.0, due - time.perf_counter()))
    os.write(1, struct.pack("<d", due))
"""

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
    async with _clock(pace) as due:
        while goes_on(len(took)):
            begun = await due()
            noted.append(await one(len(took)))
            took.append((time.perf_counter() - begun) * 1000)
    return took, noted


@contextlib.asynccontextmanager
async def _clock(pace: Pace) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """Give what waits until the next query is due, and tells when that was."""
    if pace.rate is None:
        yield _at_once
        return
    command = [sys.executable, "-S", "-c", _CLOCK, str(pace.rate), str(os.getpid())]
    clock = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told = clock.stdout
    assert told is not None

    async def due() -> float:
        [at] = _DUE.unpack(await told.readexactly(_DUE.size))
        return float(at)

    try:
        yield due
    finally:
        clock.kill()
        await clock.wait()


async def _at_once() -> float:
    await asyncio.sleep(0)
    return time.perf_counter()
