"""Is it the model that the index's vectors were made by? Texts that never change tell. Pure.

Another model of the same name and dimensions gives them other vectors. The same model on another machine, or
in another precision, gives nearly the same.
"""

import numpy as np

from .wire import Matrix

TEXTS = (
    # The first goes with every request that embeds rows. Siblings of a model differ least in plain English.
    "Öffnungszeiten: montags bis freitags 9–18 Uhr; 営業時間",  # noqa: RUF001
    "A quick brown fox jumps over the lazy dog.",
    "def area(r): return 3.14159 * r ** 2  # m²",
)
SAME = 0.99
"""Cosine similarity from which on two vectors of a text are of the same model."""


def likeness(fresh: Matrix, remembered: Matrix) -> float:
    """Return the least cosine similarity of the vectors of a text; each shape (probes, dimensions)."""
    norms = np.linalg.norm(fresh, axis=1) * np.linalg.norm(remembered, axis=1)
    dots = np.einsum("ij,ij->i", fresh, remembered)
    return float(np.min(dots / np.where(norms == 0, 1, norms)))


def are_same(fresh: Matrix, remembered: Matrix) -> bool:
    """Return whether one model made both; fewer fresh ones are compared with the first remembered ones."""
    return likeness(fresh, remembered[: len(fresh)]) >= SAME
