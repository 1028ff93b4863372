"""The rows and queries that every contender gets, and the exact answers."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import datasets
import numpy as np
from numpy.typing import NDArray

Metadata = Mapping[str, int | str]


def metadata(number: int) -> Metadata:
    """Return a row's usual metadata; `part` is uniform in 0 to 9999 and of no relation to its vector."""
    return {"part": number * 7919 % 10_000, "kind": "package"}


@dataclasses.dataclass(frozen=True)
class Workload:
    """Rows with vectors and metadata, queries, and what each query's nearest are.

    Attributes:
        data: unit vectors: stored (n, dimensions) and asked (q, dimensions).
        k: neighbours asked for.
        metadata: returns a row's.
    """

    data: datasets.Dataset
    k: int
    metadata: Callable[[int], Metadata] = metadata

    @functools.cached_property
    def truth(self) -> NDArray[np.int64]:
        """The nearest rows, (q, k)."""
        return self.data.exact(self.k)

    def recall(self, found: NDArray[np.int64]) -> float:
        """Return the share of the true nearest among what was found."""
        return recall(found, self.truth)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.data.stored)

    @property
    def dimensions(self) -> int:
        """How many values a vector has."""
        return int(self.data.stored.shape[1])

    def pieces(self, size: int) -> list[range]:
        """Return the rows in batches."""
        return [range(start, min(start + size, self.count)) for start in range(0, self.count, size)]


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Return the share of the true nearest among what was found; both are (queries, k)."""
    hits = sum(len(set(one) & set(other)) for one, other in zip(found.tolist(), truth.tolist(), strict=True))
    return hits / truth.size
