"""The rows of a segment that a read may return: live, of one namespace, and passing a filter."""

import dataclasses
import functools

from .. import bits
from ..arrays import Bits, RowNumbers


@dataclasses.dataclass(frozen=True)
class Selection:
    """A set of a segment's rows; `size` is how many the segment has."""

    chosen: Bits
    size: int

    @functools.cached_property
    def count(self) -> int:
        """How many rows are selected."""
        return bits.count(self.chosen)

    @functools.cached_property
    def rows(self) -> RowNumbers:
        """The rows in ascending order."""
        return bits.to_rows(self.chosen)

    @property
    def whole(self) -> bool:
        """Whether every row is selected."""
        return self.count == self.size
