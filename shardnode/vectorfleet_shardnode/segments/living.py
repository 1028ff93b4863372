"""Which rows of a segment live: what views of a growing segment and of a sealed one have in common."""

import dataclasses
import functools
from typing import Generic, Self, TypeVar

import numpy as np

from ..arrays import Mask, RowNumbers

S = TypeVar("S")


@dataclasses.dataclass(frozen=True)
class Living(Generic[S]):
    """A segment and which of its rows live, see `part.Part`."""

    segment: S
    live: Mask

    @functools.cached_property
    def live_rows(self) -> int:
        """How many rows exist."""
        return int(np.count_nonzero(self.live))

    @property
    def dead_rows(self) -> int:
        """How many rows were replaced or deleted."""
        return len(self.live) - self.live_rows

    def without(self, rows: RowNumbers) -> Self:
        """Return the view in which these rows are dead too."""
        if not len(rows):
            return self
        live = self.live.copy()
        live[rows] = False
        return type(self)(self.segment, live)
