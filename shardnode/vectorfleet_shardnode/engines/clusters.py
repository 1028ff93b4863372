r"""Clusters of a segment's vectors: what the surroundings of a query are like, and a way into parts of it.

They say beforehand how many of the rows around a query pass a filter, and they lead to passing rows that
a walk over the graph would not reach. A file, memory-mapped, made by k-means with a fixed seed:

```
"VFLTCLU\0", u32 version, u32 dimensions, u64 clusters, u64 rows
float32[clusters x dimensions] centroids, u32[clusters + 1] offsets, u32[rows] rows by cluster
```
"""

import struct
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from .. import errors, mapped
from ..api import config
from ..arrays import Vectors
from . import base

VERSION = 1
MIN_ROWS = 10_000
"""Rows below which a segment has no clusters: comparing with all of them takes less than a millisecond."""

_MAGIC = b"VFLTCLU\0"
_HEADER = struct.Struct("<8sIIQQ")
_KIND = mapped.Kind("clusters", _HEADER, _MAGIC, VERSION)
_MAX_CLUSTERS = 4_096
_ROUNDS = 6
_SAMPLE = 64  # vectors of each cluster that k-means looks at


def build(metric: config.Metric, vectors: Vectors, path: Path) -> None:
    """Cluster comparable vectors, about 2 √rows clusters; uses OpenMP's threads."""
    count = min(_MAX_CLUSTERS, max(16, round(2 * len(vectors) ** 0.5)))
    spherical = metric is config.Metric.COSINE
    means = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=_ROUNDS,
        seed=1,
        spherical=spherical,
        max_points_per_centroid=_SAMPLE,
    )
    means.train(vectors)
    owners = means.index.search(vectors, 1)[1][:, 0]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(owners, minlength=count))])
    header = _HEADER.pack(_MAGIC, VERSION, vectors.shape[1], count, len(vectors))
    content = [
        np.ascontiguousarray(means.centroids, "<f4"),
        offsets.astype("<u4"),
        np.argsort(owners, kind="stable").astype("<u4"),
    ]
    path.write_bytes(header + b"".join(array.tobytes() for array in content))


class Clusters:
    """The open file.

    Attributes:
        centroids: (clusters, dimensions).
        offsets: cluster c holds `rows[offsets[c]:offsets[c + 1]]`.
        sizes: how many rows each cluster holds.
        rows: every row of the segment, cluster by cluster.

    Raises:
        DataLossError: it is not of this format.
    """

    def __init__(self, path: Path, metric: config.Metric) -> None:
        content, (dimensions, count, rows) = _KIND.open(path)
        sizes = (4 * count * dimensions, 4 * (count + 1), 4 * rows)
        if len(content) != _HEADER.size + sum(sizes):
            raise errors.DataLossError(f"{path} has {len(content)} bytes; its header needs another size")
        first, second = _HEADER.size + sizes[0], _HEADER.size + sizes[0] + sizes[1]
        self.centroids: Vectors = content[_HEADER.size : first].view("<f4").reshape(count, dimensions)
        self.offsets: npt.NDArray[np.int64] = content[first:second].view("<u4").astype(np.int64)
        self.sizes = np.diff(self.offsets)
        self.rows: npt.NDArray[np.uint32] = content[second:].view("<u4")
        self._larger = base.larger_is_better(metric)
        self._half_squares = np.einsum("ij,ij->i", self.centroids, self.centroids) / 2

    def nearest(self, query: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return all clusters, those with the centroid nearest to one comparable query first."""
        closeness = self.centroids @ query
        order: npt.NDArray[np.int64] = np.argsort(
            -closeness if self._larger else self._half_squares - closeness
        )
        return order
