"""A server that is loaded and asked over HTTP: what all of them have in common."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from . import contender, rest, workload


class Served:
    """A started server.

    Attributes:
        roots: pids whose process trees it is.

    Args:
        roots: see above.
        asked: its queries.
        write: sends one prepared body with rows.
        batch: makes such a body of some rows.
        size: rows of a batch.
        settled: waits until every row is in the index; returns since when.
        prepare: is told of an effort before it is used, where it is no part of a query.
    """

    def __init__(  # noqa: PLR0913  # each is one of the things in which servers differ
        self,
        roots: Sequence[int],
        asked: rest.Asked,
        *,
        write: tuple[str, str],
        batch: Callable[[workload.Workload, range], bytes],
        size: int,
        settled: Callable[[], float],
        prepare: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.roots = roots
        self._asked, self._write, self._batch, self._size = asked, write, batch, size
        self._settled, self._prepare = settled, prepare

    @property
    def api(self) -> rest.Api:
        """How it is spoken to."""
        return self._asked.api

    def prepare(self, work: workload.Workload) -> list[bytes]:
        """Return the bodies with all rows."""
        return [self._batch(work, piece) for piece in work.pieces(self._size)]

    def load(self, bodies: list[bytes]) -> None:
        """Send them."""
        method, path = self._write
        rest.send_all(self._asked.api, method, path, bodies)

    def settle(self) -> float:
        """Wait until every row is in the index; return since when."""
        return self._settled()

    def answers(self, effort: int) -> NDArray[np.int64]:
        """Ask every query once."""
        self._prepare(effort)
        return self._asked.answers(effort)

    def press(self, effort: int, pressure: contender.Pressure) -> contender.Load:
        """Let wrk ask."""
        self._prepare(effort)
        return self._asked.press(effort, pressure)
