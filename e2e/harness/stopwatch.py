"""How long the steps of a story took, printed as a table behind the tests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Lap:
    """One step of one test."""

    test: str
    step: str
    seconds: float


@dataclass
class Stopwatch:
    """Collects the laps of one test."""

    test: str
    laps: list[Lap] = field(default_factory=list)

    @contextlib.contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.laps.append(Lap(self.test, step, time.monotonic() - began))


def table(laps: list[Lap]) -> list[str]:
    """One line for each lap, the test's name only where it changes."""
    width = max((len(lap.step) for lap in laps), default=0)
    lines, last = [], ""
    for lap in laps:
        if lap.test != last:
            lines.append(lap.test)
            last = lap.test
        lines.append(f"  {lap.step:<{width}}  {lap.seconds:7.1f} s")
    return lines
