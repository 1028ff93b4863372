"""Sparse values as a user has them: weights of a few of 2^32 dimensions, such as the words of a text.

They stand beside the values of an index with the metric dotproduct; their dot product is added to a score.
"""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import errors

MAX_INDEX = 2**32 - 1


class SparseValues(msgspec.Struct, frozen=True, eq=False):
    """Distinct indices, 0 to 2^32 - 1, and a value for each, in the order that they were sent in.

    Attributes:
        indices: numbers of dimensions.
        values: as many, finite; of what was read they are float32's.
    """

    indices: Sequence[int]
    values: Sequence[float]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseValues):
            return NotImplemented
        same = np.array_equal(self.indices, other.indices)
        mine, theirs = (np.asarray(one.values, np.float32) for one in (self, other))
        return same and np.array_equal(mine, theirs)

    __hash__ = None  # type: ignore[assignment]  # a list has none


SparseLike = SparseValues | Mapping[str, Any]
"""A `SparseValues`, or a mapping of `indices` and `values`, each a sequence of numbers or a numpy array."""


def plain_of(given: object) -> dict[str, Any]:
    """Return sparse values as the lists of numbers that JSON takes.

    Raises:
        InvalidInputError: they are of another form, not equally many, none, or hold NaN or infinity.
    """
    match given:
        case SparseValues(indices=indices, values=values):
            pass
        case {"indices": indices, "values": values, **others} if not others:
            pass
        case _:
            raise errors.InvalidInputError(
                f"sparse values are a mapping of indices and values, or SparseValues, not "
                f"{reprlib.repr(given)}"
            )
    numbers, weights = _array("indices", indices, "iu"), _array("values", values, "fiu")
    if len(numbers) != len(weights):
        raise errors.InvalidInputError(
            f"sparse values need a value for each index; these are {len(numbers)} indices and "
            f"{len(weights)} values"
        )
    if len(numbers) == 0:
        raise errors.InvalidInputError("sparse values have one index at least; this has none: leave them out")
    if not np.isfinite(weights).all():
        raise errors.InvalidInputError(
            "sparse values hold NaN or infinity; only finite numbers can be compared"
        )
    if int(numbers.min()) < 0 or int(numbers.max()) > MAX_INDEX:
        raise errors.InvalidInputError(f"indices of sparse values are 0 to {MAX_INDEX}")
    return {"indices": numbers.tolist(), "values": weights.tolist()}


def _array(name: str, given: Any, kinds: str) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except ValueError:
        array = np.zeros((0, 0))
    if array.ndim == 1 and (array.dtype.kind in kinds or array.size == 0):
        return array
    what = "integers" if kinds == "iu" else "numbers"
    raise errors.InvalidInputError(f"{name} of sparse values are a flat list of {what}")
