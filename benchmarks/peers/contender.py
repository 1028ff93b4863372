"""What every contender is to the benchmark: something that is started, loaded, settles, and is asked."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from . import workload

K = 10
M, EF_CONSTRUCTION = 16, 128


class SkippedError(Exception):
    """A contender can't run here; the message says why."""


@dataclasses.dataclass(frozen=True)
class Pressure:
    """How a contender is asked.

    Attributes:
        connections: callers at a time, each with one request under way.
        seconds: how long; wrk takes whole ones.
        pause: mean milliseconds between an answer and that caller's next request, drawn exponentially.
    """

    connections: int
    seconds: int
    pause: float = 0.0


@dataclasses.dataclass(frozen=True)
class Load:
    """What came of it.

    Attributes:
        per_second: answers a second.
        p50, p95, p99: milliseconds from a request to its answer.
        cpu: milliseconds of CPU a query, of all the contender's processes together; the load generator's not.
    """

    per_second: float
    p50: float
    p95: float
    p99: float
    cpu: float = 0.0


class Asked(Protocol):
    """A contender that is asked a set of queries."""

    @property
    def roots(self) -> Sequence[int]:
        """Pids whose process trees are the contender; empty where it runs in the benchmark's own process."""
        ...

    def answers(self, effort: int) -> NDArray[np.int64]:
        """Ask every query once; return the rows found, (queries, K), -1 where fewer were."""
        ...

    def press(self, effort: int, pressure: Pressure) -> Load:
        """Ask under load; `cpu` is filled in by who measures."""
        ...


class Running(Asked, Protocol):
    """A contender that was started, empty."""

    def prepare(self, work: workload.Workload) -> list[bytes]:
        """Return the writes of all rows, so that making them is not measured."""
        ...

    def load(self, bodies: list[bytes]) -> None:
        """Write what was prepared; return when every write is answered."""
        ...

    def settle(self) -> float:
        """Wait until every row is in the index; return since when it is so, by `time.perf_counter`."""
        ...


class Contender(Protocol):
    """Something to measure.

    Attributes:
        name: of the contender, as tables have it.
        served: whether it is asked over a network, by wrk or its own load generator.
        origin: where it comes from.
        command: what runs it, … for what differs from run to run.
        settings: what differs from how it comes, and why.
        durable: what is true of a row when its write is answered.
        driver: what asks it.
        efforts: what its efSearch, or the like, may be, ascending.
    """

    name: str
    served: bool
    origin: str
    command: str
    settings: str
    durable: str
    driver: str
    efforts: Sequence[int]

    def version(self) -> str:
        """Return its version.

        Raises:
            SkippedError: it is not installed.
        """
        ...

    def start(
        self, folder: pathlib.Path, work: workload.Workload
    ) -> contextlib.AbstractContextManager[Running]:
        """Start it with an empty folder of its own; it is gone afterwards."""
        ...


EFFORTS = (10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 90, 100, 114, 128, 160, 200, 256, 320, 400, 512)
"""Usual efSearch values."""
