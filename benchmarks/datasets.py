"""Vectors to measure with: Debian's packages or Fashion-MNIST where they are given, else clustered ones."""

import dataclasses
import importlib.util
import pathlib
import sys
import types

import faiss
import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 384
"""Of vectors that are made."""
FASHION_MNIST = "fashion-mnist"
"""What stands for that set where a folder may be named."""
_EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "fashion_mnist" / "datasets.py"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Unit vectors, float32: stored (n, dimensions) and asked (q, dimensions), and what they are."""

    title: str
    stored: NDArray[np.float32]
    asked: NDArray[np.float32]

    def exact(self, k: int, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the rows of the `k` nearest by cosine, shape (q, k), of all rows or of some."""
        rows = np.arange(len(self.stored)) if among is None else among
        index = faiss.IndexFlatIP(self.stored.shape[1])
        index.add(self.stored[rows])
        return rows[index.search(self.asked, k)[1]]


def load(folder: pathlib.Path | None, rows: int, queries: int) -> Dataset:
    """Read the packages' vectors from `folder`, or make clustered ones where none is given."""
    if folder is None:
        return clustered(rows, queries)
    # Shuffled, so that a part of the set is a fair sample of it.
    stored = np.load(folder / "vectors.f16.npy").astype(np.float32)
    stored = np.random.default_rng(7).permutation(stored)[:rows]
    asked = np.load(folder / "queries.f16.npy").astype(np.float32)[:queries]
    return Dataset("packages of Debian 12, all-MiniLM-L6-v2", unit(stored), unit(asked))


def fashion_mnist(rows: int, queries: int) -> Dataset:
    """Read Fashion-MNIST's 60,000 images, 784 dimensions, from where the example has them; as unit vectors.

    ANN-benchmarks asks this set for Euclidean distances between images as they are; here it is their cosine.

    Raises:
        Exception: the set can't be had here; the message says what would be right.
    """
    found = _example().load(FASHION_MNIST)
    stored = np.random.default_rng(7).permutation(found.stored)[:rows]
    return Dataset("Fashion-MNIST at length 1", unit(stored), unit(found.asked[:queries]))


def _example() -> types.ModuleType:
    """Return the example's module that knows where the set is; it has this one's name: read by path."""
    spec = importlib.util.spec_from_file_location("fashion_mnist_datasets", _EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def clustered(rows: int, queries: int) -> Dataset:
    """Make vectors around one centre for each 100 rows; queries are drawn as the rows are."""
    random = np.random.default_rng(7)
    centres = random.standard_normal((max(rows // 100, 1), DIMENSIONS), np.float32)
    chosen = centres[random.integers(len(centres), size=rows + queries)]
    every = unit(chosen + random.standard_normal(chosen.shape, np.float32))
    return Dataset("clustered vectors, made", every[:rows], every[rows:])


def grown(data: Dataset, rows: int) -> Dataset:
    """Make more vectors of the kind: each a stored one moved by noise of 0.35 times its length.

    The queries are the same; the nearest neighbours are those among what was made.
    """
    random = np.random.default_rng(13)
    made = np.empty((rows, data.stored.shape[1]), np.float32)
    for start in range(0, rows, 65_536):
        chosen = data.stored[random.integers(len(data.stored), size=min(65_536, rows - start))]
        noise = unit(random.standard_normal(chosen.shape, np.float32)) * np.float32(0.35)
        made[start : start + len(chosen)] = unit(chosen + noise)
    return Dataset(f"{rows:,} vectors around {data.title}", made, data.asked)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vectors at length 1."""
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled
