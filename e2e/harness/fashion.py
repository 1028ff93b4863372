"""Fashion-MNIST where this machine has it, random vectors of the same shape where not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "fashion_mnist"))

import datasets


def vectors(count: int) -> NDArray[np.float32]:
    """The first vectors to store, float32, shape (count, 784)."""
    return _set().stored[:count]


def queries(count: int) -> NDArray[np.float32]:
    """The first vectors to ask for, float32, shape (count, 784)."""
    return _set().asked[:count]


def _set() -> datasets.Dataset:
    folder = datasets.find() or datasets.fetch()
    if folder is not None:
        return datasets.fashion_mnist(folder)
    made = np.random.default_rng(1).integers(0, 256, (6_000, 784)).astype(np.float32)
    return datasets.Dataset("random", made[:5_000], made[5_000:], ())
