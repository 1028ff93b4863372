"""Rotations that make each coordinate of a vector equally telling, for codes of a bit or two each.

By Hadamard matrices of 64 dimensions, twice, behind random flips of signs and with random order in between
(after N. Ailon, B. Chazelle, The fast Johnson-Lindenstrauss transform, 2009): a sixth of what a full matrix
of 384 dimensions takes, and it stays in the processor's caches.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import RowNumbers, Vectors

BLOCK = 64
_SEED = 5

_Floats = npt.NDArray[np.float32]


def padded(dimensions: int) -> int:
    """Return how many coordinates vectors of so many dimensions have once they are turned."""
    return -(-dimensions // BLOCK) * BLOCK


class Turn:
    """A rotation of vectors, of which some coordinates are kept.

    Args:
        order: which of the coordinates are mixed in between, and kept.
        flips: of signs, before the first mixing, (dimensions, rounded up), and before the second, (kept).
    """

    def __init__(self, order: RowNumbers, flips: tuple[_Floats, _Floats]) -> None:
        self.order, self.flips = order, flips

    @classmethod
    def drawn(cls, dimensions: int, kept: int) -> "Turn":
        """Return one that is random, and always the same; `kept` is a multiple of `BLOCK`."""
        draw, wide = np.random.default_rng(_SEED), padded(dimensions)
        first, second = (draw.choice(np.array([-1, 1], np.float32), count) for count in (wide, kept))
        return cls(draw.permutation(wide)[:kept], (first, second))

    def apply(self, vectors: Vectors) -> Vectors:
        """Return vectors turned: (vectors, kept)."""
        dimensions, width = vectors.shape[1], len(self.flips[0])
        wide = vectors * self.flips[0][:dimensions]
        if dimensions < width:
            wide = np.pad(wide, ((0, 0), (0, width - dimensions)))
        mixed = _mixed(wide).take(self.order, axis=1)
        mixed *= self.flips[1]
        return _mixed(mixed)


def _mixed(wide: Vectors) -> Vectors:
    mixed: Vectors = (wide.reshape(-1, BLOCK) @ _HADAMARD).reshape(wide.shape)
    return mixed


def _hadamard() -> _Floats:
    """Return the Hadamard matrix of 64 dimensions that J. Sylvester gives, scaled to be a rotation."""
    matrix: Any = np.ones((1, 1), np.float32)
    while len(matrix) < BLOCK:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    scaled: _Floats = matrix / np.float32(BLOCK**0.5)
    return scaled


_HADAMARD = _hadamard()
