"""Arrays that one writer appends to, while readers hold slices of what was there before.

Room is reserved at once, far more than is used at first: pages that nothing was written to take no memory,
and an array that never grows is never copied, nor leaves copies behind for the allocator to keep.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

_RESERVED_BYTES = 32 << 20
_RESERVED_ROWS = 16_384
_LEAST_ROWS = 256
_T = TypeVar("_T", bound=np.generic)


def roomy(array: npt.NDArray[_T], used: int, needed: int) -> npt.NDArray[_T]:
    """Return an array with room for `needed` rows, whose first `used` are the same; itself where it has."""
    if needed <= len(array):
        return array
    larger = np.empty((max(needed, 2 * len(array), reserved(array)), *array.shape[1:]), array.dtype)
    larger[:used] = array[:used]
    return larger


def reserved(array: npt.NDArray[_T]) -> int:
    """Return how many rows of an array there is room for from the beginning."""
    row_bytes = array.itemsize * int(np.prod(array.shape[1:]))
    return max(_LEAST_ROWS, min(_RESERVED_ROWS, _RESERVED_BYTES // row_bytes))
