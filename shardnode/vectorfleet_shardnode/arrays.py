"""Names for the arrays that pass between rooms, so that signatures tell shapes and meaning."""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""Float32 vectors, (rows, dimensions), C-contiguous."""

Scores = npt.NDArray[np.float32]
"""Float32 scores, (queries, k)."""

RowNumbers = npt.NDArray[np.int64]
"""Positions of rows inside one part of a shard; -1 where there is none."""

Mask = npt.NDArray[np.bool_]
"""One boolean for each row."""

Bits = npt.NDArray[np.uint64]
"""A set of rows: bit i % 64 of word i // 64 stands for row i, see `bits`."""

Hashes = npt.NDArray[np.uint64]
"""64-bit hashes of row keys, see `placement.hash_id`."""
