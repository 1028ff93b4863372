"""The growing segment: the newest rows, in memory, searched exactly.

One writer appends; readers hold views of the first n rows, so neither waits for the other. A row is never
changed: a new version is appended, and remembers where the previous one stands, so that an older view
still finds its own.
"""

import dataclasses
import functools
import heapq

import msgspec
import numpy as np

from .. import filters, keys, ragged, records, sparse
from .. import shape as shapes
from ..api import config
from ..arrays import Hashes, Mask, RowNumbers, Vectors
from ..engines import base, flat
from ..text import analysis
from . import appending, growing_fields, growing_filters, growing_sparse, growing_text, living, part


@dataclasses.dataclass(frozen=True)
class Columns:
    """The fixed-width columns of rows; `comparable` is `vectors` itself except under cosine."""

    codes: RowNumbers
    seqs: RowNumbers
    hashes: Hashes
    vectors: Vectors
    comparable: Vectors

    def first(self, count: int) -> "Columns":
        """Return the first rows, without copying."""
        return Columns(*(getattr(self, field.name)[:count] for field in dataclasses.fields(self)))


class GrowingSegment:
    """Rows in the order they were written. Appended to by one thread; read through `GrowingView`."""

    def __init__(self, shape: shapes.Shape) -> None:
        metric, dimensions = shape.metric, shape.dimensions
        self.metric = metric
        self.fields = {field.name: growing_fields.GrowingField(field, metric) for field in shape.fields}
        self.sparse = growing_sparse.GrowingSparse()
        self.ids: list[str] = []
        self.metadata: list[bytes] = []
        self.decoded: list[filters.Metadata | None] = []
        analyzer = analysis.analyzer(shape.schema.language) if shape.schema.text else None
        self.texts = {
            name: growing_text.GrowingText(name, analyzer) for name in shape.schema.text if analyzer
        }
        self.filters = growing_filters.GrowingFilters(self.decoded)
        self.previous: list[int] = []  # row of the version before, -1 for the first
        self.newest: dict[str, dict[str, int]] = {}  # namespace → id → row
        self.namespaces: list[str] = []
        self.bytes = self.metadata_bytes = 0
        self.frozen_at: int | None = None  # the last seq it covers, once nothing more is appended
        self._codes: dict[str, int] = {}
        self._columns = Columns(
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
            np.zeros(0, np.uint64),
            np.zeros((0, dimensions), np.float32),
            np.zeros((0, dimensions), np.float32),
        )

    @property
    def rows(self) -> int:
        """How many rows were appended, live or not."""
        return len(self.ids)

    def code_of(self, namespace: str) -> int:
        """Return a namespace's number in this segment, -1 where it has none."""
        return self._codes.get(namespace, -1)

    def append(self, sought: keys.Keys, rows: records.Rows, seq: int) -> None:
        """Append rows with distinct ids, written at `seq`.

        Raises:
            ValueError: they are not of this index's shape.
        """
        start, end = self.rows, self.rows + len(rows.ids)
        self._append_fields(rows)
        self._reserve(start, end)
        columns = self._columns
        columns.codes[start:end] = self._code(sought.namespace)
        columns.seqs[start:end] = seq
        columns.hashes[start:end] = sought.hashes
        columns.vectors[start:end] = rows.vectors
        if columns.comparable is not columns.vectors:
            columns.comparable[start:end] = base.comparable(self.metric, rows.vectors)
        self.metadata += rows.metadata
        self.decoded += [msgspec.json.decode(content) if content else None for content in rows.metadata]
        for text in self.texts.values():
            self.bytes += text.append(self.decoded[start:end])
        newest = self.newest.setdefault(sought.namespace, {})
        self.previous += [newest.get(row_id, -1) for row_id in rows.ids]
        self.ids += rows.ids
        newest.update(zip(rows.ids, range(start, end), strict=True))
        metadata = sum(map(len, rows.metadata))
        self.metadata_bytes += metadata
        self.bytes += rows.vectors.nbytes + metadata + sum(map(len, rows.ids))

    def _append_fields(self, rows: records.Rows) -> None:
        if unknown := rows.filled.keys() - self.fields.keys():
            raise ValueError(f"the index has no vector field {', '.join(sorted(unknown))}")
        for name, field in self.fields.items():
            self.bytes += field.append(len(rows.ids), rows.fields.get(name))
        self.bytes += self.sparse.append(len(rows.ids), rows.sparse)

    def columns(self, count: int) -> Columns:
        """Return the columns of the first `count` rows."""
        return self._columns.first(count)

    def _code(self, namespace: str) -> int:
        if namespace not in self._codes:
            self.namespaces.append(namespace)
            self._codes[namespace] = len(self.namespaces) - 1
        return self._codes[namespace]

    def _reserve(self, used: int, needed: int) -> None:
        old = self._columns
        vectors = appending.roomy(old.vectors, used, needed)
        cosine = self.metric is config.Metric.COSINE
        self._columns = Columns(
            appending.roomy(old.codes, used, needed),
            appending.roomy(old.seqs, used, needed),
            appending.roomy(old.hashes, used, needed),
            vectors,
            appending.roomy(old.comparable, used, needed) if cosine else vectors,
        )


@dataclasses.dataclass(frozen=True)
class GrowingView(living.Living[GrowingSegment]):
    """The first rows of a growing segment, and which of them live, see `part.Part`."""

    def extended(self) -> "GrowingView":
        """Return the view that includes, as live, what was appended since."""
        added = np.ones(self.segment.rows - len(self.live), np.bool_)
        return GrowingView(self.segment, np.concatenate([self.live, added]))

    waits = True
    """Nothing is built of what grows."""

    @property
    def metric(self) -> config.Metric:
        """How vectors are compared."""
        return self.segment.metric

    @property
    def comparable(self) -> Vectors:
        """The rows' values as they are compared, (rows, dimensions)."""
        return self.columns.comparable

    @functools.cached_property
    def columns(self) -> Columns:
        """The columns of this view's rows."""
        return self.segment.columns(len(self.live))

    def find(self, sought: keys.Keys) -> RowNumbers:
        """Return the live row of each key, -1 where this part has none."""
        newest = self.segment.newest.get(sought.namespace, {})
        found = np.fromiter((newest.get(row_id, -1) for row_id in sought.ids), np.int64, len(sought.ids))
        for at in np.flatnonzero(found >= len(self.live)):
            found[at] = self._own_version(int(found[at]))
        return part.only_live(found, self.live)

    def _own_version(self, row: int) -> int:
        while row >= len(self.live):
            row = self.segment.previous[row]
        return row

    def matching(self, namespace: str, wanted: filters.Filter | None) -> RowNumbers:
        """Return the live rows of a namespace that pass."""
        rows = np.flatnonzero(self.live & (self.columns.codes == self.segment.code_of(namespace)))
        return self._passing(rows, wanted)

    def _passing(self, rows: RowNumbers, wanted: filters.Filter | None) -> RowNumbers:
        if wanted is None or not len(rows):
            return rows
        return rows[self.segment.filters.mask(wanted, len(self.live))[rows]]

    def chosen(self, question: part.Question) -> Mask | None:
        """Return which rows may match, None for all."""
        if question.wanted is None and question.namespace == self._whole:
            return None
        mask = self.mask_of(question.namespace)
        if question.wanted is not None:
            mask = mask & self.segment.filters.mask(question.wanted, len(self.live))
        return mask

    @functools.cached_property
    def _whole(self) -> str | None:
        """The namespace of all rows, where they all live and have one; else None."""
        codes = self.columns.codes
        one = len(codes) > 0 and self.live_rows == len(codes) and bool((codes == codes[0]).all())
        return self.segment.namespaces[codes[0]] if one else None

    def search(self, question: part.Question) -> base.Neighbours:
        """Return the best live rows for each query: compared with all."""
        if not self.live_rows:
            return base.nothing(len(question.queries))
        mask = self.chosen(question)
        rows = None if mask is None else np.flatnonzero(mask)
        return flat.search(self.metric, self.comparable, question.queries, question.k, rows)

    def take(self, rows: RowNumbers, fields: part.Fields) -> records.Rows:
        """Return rows by number."""
        segment = self.segment
        return records.Rows(
            [segment.ids[row] for row in rows],
            self.columns.vectors[rows] if fields.values else self.columns.vectors[:0],
            [segment.metadata[row] for row in rows] if fields.metadata else [],
            {name: self.stored(name).take(rows) for name in segment.fields} if fields.values else {},
            self._sparse(rows) if fields.values else None,
        )

    def _sparse(self, rows: RowNumbers) -> ragged.Ragged | None:
        column = self.segment.sparse.first(len(self.live))
        return None if column is None else column.take(rows)

    def stored(self, name: str) -> ragged.Ragged:
        """Return a vector field as it was sent."""
        return self.segment.fields[name].first(len(self.live))

    def compared(self, name: str) -> ragged.Ragged:
        """Return a vector field, or with an empty name the rows' values, as it is compared."""
        if not name:
            return ragged.Ragged(np.arange(len(self.live) + 1), self.columns.comparable)
        return self.segment.fields[name].comparable(len(self.live))

    def products(self, asked: sparse.Vector) -> sparse.Products:
        """Return the dot products of a sparse vector with all rows, live or not."""
        return self.segment.sparse.products(asked, len(self.live))

    def mask_of(self, namespace: str) -> Mask:
        """Return which rows are live and of a namespace."""
        mask: Mask = self.live & (self.columns.codes == self.segment.code_of(namespace))
        return mask

    def first_by_id(self, rows: RowNumbers, count: int) -> RowNumbers:
        """Return those of some rows of one namespace, ascending, that have the smallest ids."""
        first = heapq.nsmallest(count, rows.tolist(), key=self.segment.ids.__getitem__)
        return np.array(first, np.int64)

    def text_sums(self, namespace: str, field: str, language: config.Language) -> tuple[int, int]:
        """Return how many live rows of a namespace have text in a field, and the terms of all of them."""
        lengths = self.texts(field, language).lengths[self.mask_of(namespace)]
        return int(np.count_nonzero(lengths)), int(lengths.sum(dtype=np.int64))

    def texts(self, field: str, _: config.Language) -> growing_text.GrowingTexts:
        """Return the texts of a declared text field."""
        return self.segment.texts[field].first(len(self.live))

    def nearest(self, sought: part.Sought) -> None:
        """Return None: what grows is compared whole."""

    def list_ids(self, page: part.Page) -> list[str]:
        """Return ids of live rows in ascending order."""
        every = (self.segment.ids[row] for row in self.matching(page.namespace, None))
        fitting = (row_id for row_id in every if row_id > page.after and row_id.startswith(page.prefix))
        return heapq.nsmallest(page.limit, fitting)

    def count(self, wanted: filters.Filter | None) -> dict[str, int]:
        """Return how many live rows pass, by namespace."""
        rows = self._passing(np.flatnonzero(self.live), wanted)
        counts = np.bincount(self.columns.codes[rows], minlength=len(self.segment.namespaces))
        return dict(zip(self.segment.namespaces, counts.tolist(), strict=False))

    def versions(self) -> tuple[RowNumbers, Hashes, Hashes]:
        """Return number, key hash and seq of each live row, in no order."""
        rows, columns = np.flatnonzero(self.live), self.columns
        return rows, columns.hashes[rows], columns.seqs[rows].astype(np.uint64)

    def keys_of(self, rows: RowNumbers) -> list[keys.Keys]:
        """Return the keys of rows, by namespace."""
        codes, hashes = self.columns.codes[rows], self.columns.hashes[rows]
        found = []
        for code in np.unique(codes):
            chosen = codes == code
            ids = [self.segment.ids[row] for row in rows[chosen]]
            found.append(keys.Keys(self.segment.namespaces[code], ids, hashes[chosen]))
        return found


def empty_view(shape: shapes.Shape) -> GrowingView:
    """Return the view of a new segment that has no rows yet."""
    return GrowingView(GrowingSegment(shape), np.zeros(0, np.bool_))
