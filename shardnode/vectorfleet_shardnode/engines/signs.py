r"""Signs of a segment's vectors, a bit a dimension: rows that pass a filter are compared by them first.

Comparing full vectors that lie all over a segment is bound by the memory: each row is 4 bytes a dimension
from another place. Its bits are a thirtieth of that, and stand in the order of the clusters, so that those of
near rows are near each other; the best rows by them are scored from full vectors. A file, memory-mapped:

```
"VFLTSGN\0", u32 version, u32 dimensions d, u64 rows, u32 clusters c, u32 middles m
rows x {u64[b / 64] bits, float32 length, float32 shift}, in the order of `clusters.bin`
float32[m x d] middles, u32[b] order, int8[p] flips, int8[b] flips, u8[c] groups
```

where p are the dimensions, rounded up to a multiple of 64, and b are as many, or 512 if those are fewer.

The bits are the signs of coordinates of a vector beside the middle of some clusters, its own with it, once it
was turned, so that each coordinate is equally telling. Two vectors at an angle of θ differ in θ / π of them
(sign random projections: M. Charikar, Similarity estimation techniques from rounding algorithms, 2002). With
one middle for all, rows that lie in few heaps far apart would have the same signs.
"""

import dataclasses
import struct
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from .. import errors, mapped
from ..api import config
from ..arrays import RowNumbers, Vectors
from . import base, clusters, rescoring, trusting, turning

VERSION = 1
MIN_DIMENSIONS = 256
"""Shorter vectors are compared in full: signs tell too little of them, and they take little memory."""

_MAGIC = b"VFLTSGN\0"
_HEADER = struct.Struct("<8sIIQII")
_KIND = mapped.Kind("signs", _HEADER, _MAGIC, VERSION)
_WORD = 64
_MOST_BITS = 512
_MOST_MIDDLES = 32
_ROUNDS = 10  # of the k-means that finds them
_PIECE = 4_096  # rows at a time: what is computed of them stays in the processor's caches
_FIRST = 6  # rows for each match that are scored in full whatever signs say of the others
_LEAST_FIRST = 64
_WORTH_BYTES = 2 << 20
"""How many bytes of vectors must be left unread for signs to be worth a look."""

_Bits = npt.NDArray[np.uint64]
_Floats = npt.NDArray[np.float32]
_Groups = npt.NDArray[np.uint8]


def pays(rows: int, k: int, dimensions: int) -> bool:
    """Tell whether comparing so many rows by their signs first costs less than comparing them in full."""
    return (rows - _first(k)) * dimensions * 4 >= _WORTH_BYTES


def _first(k: int) -> int:
    return max(_LEAST_FIRST, _FIRST * k)


def build(metric: config.Metric, vectors: Vectors, grouped: clusters.Clusters, path: Path) -> None:
    """Write the signs of comparable vectors, which are grouped already."""
    (rows, dimensions), turn = vectors.shape, turning.Turn.drawn(vectors.shape[1], _kept(vectors.shape[1]))
    middles, groups = _middles(grouped.centroids)
    owners = np.repeat(groups, grouped.sizes)
    entries = np.empty((rows, len(turn.order) // _WORD + 1), "<u8")
    for start in range(0, rows, _PIECE):
        piece = slice(start, start + _PIECE)
        own = middles.take(owners[piece], axis=0)
        beside = vectors.take(grouped.rows[piece], axis=0) - own
        squares = np.einsum("ij,ij->i", beside, beside)
        # What of twice the product with a query, or of the distance, is the same at every angle to it.
        shifts = 2 * np.einsum("ij,ij->i", beside, own) if base.larger_is_better(metric) else -squares
        entries[piece, :-1] = _signs(turn.apply(beside) > 0)
        entries[piece, -1:] = np.stack([np.sqrt(squares), shifts], axis=1).astype("<f4").view("<u8")
    header = _HEADER.pack(_MAGIC, VERSION, dimensions, rows, len(groups), len(middles))
    flips = np.concatenate(turn.flips).astype("i1")
    content = (entries, middles.astype("<f4"), turn.order.astype("<u4"), flips, groups)
    path.write_bytes(header + b"".join(array.tobytes() for array in content))


def _middles(centroids: Vectors) -> tuple[Vectors, _Groups]:
    """Return the middles of groups of clusters, and the group of each cluster."""
    count = min(_MOST_MIDDLES, len(centroids))
    means = faiss.Kmeans(centroids.shape[1], count, niter=_ROUNDS, seed=1, min_points_per_centroid=1)
    means.train(np.ascontiguousarray(centroids))
    return means.centroids, means.index.search(centroids, 1)[1][:, 0].astype(np.uint8)


class Signs:
    """The open file.

    Args:
        path: of the file.
        metric: how to compare.
        grouped: the clusters that it was made with.

    Raises:
        DataLossError: it is not of this format.
    """

    def __init__(self, path: Path, metric: config.Metric, grouped: clusters.Clusters) -> None:
        content, (dimensions, rows, count, middles) = _KIND.open(path)
        padded, kept = turning.padded(dimensions), _kept(dimensions)
        sizes = (rows * (kept // 8 + 8), 4 * middles * dimensions, 4 * kept, padded, kept, count)
        if len(content) != _HEADER.size + sum(sizes) or count != len(grouped.sizes):
            raise errors.DataLossError(f"{path} has {len(content)} bytes; its header needs another size")
        entries, held, order, first, second, groups = np.split(content[_HEADER.size :], np.cumsum(sizes)[:-1])
        self._entries: _Bits = entries.view("<u8").reshape(rows, kept // _WORD + 1)
        flips = first.view("i1").astype(np.float32), second.view("i1").astype(np.float32)
        self._turn = turning.Turn(order.view("<u4").astype(np.int64), flips)
        self._rows, self._groups = grouped.rows, np.repeat(groups, grouped.sizes)
        vectors = held.view("<f4").reshape(middles, dimensions)
        self._middles = _Middles(vectors, self._turn.apply(vectors), metric)
        self._cosines = np.cos(np.linspace(0, np.pi, kept + 1)).astype(np.float32)
        self._metric = metric

    def search(self, vectors: Vectors, queries: Vectors, k: int, places: RowNumbers) -> base.Neighbours:
        """Return the `k` best of some rows for each query, scored from full vectors.

        Args:
            vectors: (rows of the segment, dimensions), comparable.
            queries: (queries, dimensions), comparable.
            k: how many.
            places: where the rows that may be returned stand in the file, int64; so many that it `pays`.
        """
        best = base.nothing(len(queries), k)
        for number, turned in enumerate(self._turn.apply(queries)):
            query = queries[number : number + 1]
            estimates = self._estimates(query[0], turned, places)
            rows = self._candidates(vectors, query, k, places, estimates)
            found = rescoring.best(self._metric, vectors, query, rows, k)
            best.scores[number], best.rows[number] = found.scores[0], found.rows[0]
        return best

    def _candidates(
        self, vectors: Vectors, query: Vectors, k: int, places: RowNumbers, estimates: _Floats
    ) -> RowNumbers:
        """Return the rows that may be among the `k` best, (1, rows)."""
        count = _first(k)
        first = np.argpartition(estimates, -count)[-count:]
        guessed, rows = estimates.take(first), self._rows_at(places.take(first))
        scores = rescoring.scores(self._metric, vectors, query, rows)[0]
        exact = 2 * scores if base.larger_is_better(self._metric) else -scores
        bound = trusting.bound(exact, guessed, k)
        if guessed.min() < bound:
            return rows
        return self._rows_at(places.take(np.flatnonzero(estimates >= bound)))

    def _rows_at(self, places: RowNumbers) -> RowNumbers:
        return self._rows.take(places).astype(np.int64)[np.newaxis]

    def _estimates(self, query: _Floats, turned: _Floats, places: RowNumbers) -> _Floats:
        """Return what signs tell of rows: twice the product with a query, or the distance with a minus."""
        asked = _Asked.beside(query, turned, self._middles)
        found = np.empty(len(places), np.float32)
        # A product with ones takes the place of a sum of short lines, which numpy does one by one.
        ones = np.append(np.ones(len(self._turn.order) // _WORD, np.float32), np.float32(0))
        for start in range(0, len(places), _PIECE):
            group = self._groups.take(places[start : start + _PIECE])
            entries = self._entries.take(places[start : start + _PIECE], axis=0)
            numbers = entries[:, -1].copy().view("<f4").reshape(-1, 2)
            entries ^= asked.bits.take(group, axis=0)
            differing = np.bitwise_count(entries).astype(np.float32) @ ones
            piece = self._cosines.take(differing.astype(np.int64))
            piece *= numbers[:, 0]
            piece *= asked.factors.take(group)
            piece += numbers[:, 1]
            piece += asked.shifts.take(group)
            found[start : start + _PIECE] = piece
        return found


@dataclasses.dataclass(frozen=True)
class _Middles:
    """The middles of groups of clusters, the same turned, and how vectors are compared."""

    vectors: Vectors
    turned: Vectors
    metric: config.Metric


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What a query is beside each of the middles.

    Attributes:
        bits: its signs, and a word of zeros.
        factors: what the product of a row's length and the cosine counts.
        shifts: what is the same for all rows of a group.
    """

    bits: _Bits
    factors: _Floats
    shifts: _Floats

    @classmethod
    def beside(cls, query: _Floats, turned: _Floats, middles: _Middles) -> "_Asked":
        """Return it for a query, which is turned as well."""
        apart = query - middles.vectors
        squares = np.einsum("ij,ij->i", apart, apart)
        bits = np.zeros((len(squares), len(turned) // _WORD + 1), np.uint64)
        bits[:, :-1] = _signs(turned > middles.turned)
        shifts = 2 * (middles.vectors @ query) if base.larger_is_better(middles.metric) else -squares
        return cls(bits, 2 * np.sqrt(squares), shifts)


def _kept(dimensions: int) -> int:
    return min(_MOST_BITS, turning.padded(dimensions))


def _signs(positive: npt.NDArray[np.bool_]) -> _Bits:
    packed: _Bits = np.packbits(positive, axis=1, bitorder="little").view("<u8")
    return packed
