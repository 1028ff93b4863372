"""What every part of a shard can do, growing or sealed: the interface that a snapshot reads through.

A part is an immutable view: rows and which of them live. A write makes a new view; a reader keeps its own.
Row numbers are positions inside the part.
"""

import dataclasses
import functools
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from .. import filters, keys, ragged, records, sparse
from ..api import config
from ..arrays import Hashes, Mask, RowNumbers, Scores, Vectors
from ..engines import base

_REMEMBERED_EFFORTS = 64


@dataclasses.dataclass(frozen=True)
class Question:
    """A batch of queries that differ in nothing but their vectors.

    Attributes:
        namespace: whose rows are searched.
        queries: (queries, dimensions), comparable.
        k: how many matches, 1 or more.
        wanted: which rows may match; None for all.
        ef: HNSW's efSearch.
        exact: compare with every row.
        probes: inverted lists to look into; 0 for the engine's own.
        oversampling: candidates that are scored anew, as a multiple of k; 0 for the engine's own.
        rescore: whether they are; else scores are what codes tell of them.
    """

    namespace: str
    queries: Vectors
    k: int
    wanted: filters.Filter | None
    ef: int
    exact: bool
    probes: int = 0
    oversampling: int = 0
    rescore: bool = True

    @functools.cached_property
    def effort(self) -> base.Effort:
        """How much an engine looks at."""
        return _effort(self.ef, self.probes, self.oversampling, self.rescore)


_effort = functools.lru_cache(_REMEMBERED_EFFORTS)(base.Effort)


@dataclasses.dataclass(frozen=True)
class Sought:
    """Rows that are wanted for being near vectors in one field.

    Attributes:
        field: a vector field; empty: the rows' values.
        queries: (queries, dimensions), comparable.
        count: how many of the nearest vectors are wanted for each query.
        rows: the rows that may be returned, ascending.
        ef: HNSW's efSearch.
        oversampling: vectors that are scored anew where there are codes, as a multiple of `count`; 0 for the
            engine's own.
        rescore: whether they are; else what codes tell of them counts.
    """

    field: str
    queries: Vectors
    count: int
    rows: RowNumbers
    ef: int
    oversampling: int = 0
    rescore: bool = True


@dataclasses.dataclass(frozen=True)
class Nearest:
    """Rows near some queries.

    Attributes:
        rows: ascending.
        gains: by how much each of them is better than `farthest`, over all queries that found it.
        farthest: for each query the score of the farthest vector that was looked at.
    """

    rows: RowNumbers
    gains: Scores
    farthest: Scores


def nearest_of(found: base.Neighbours, rows: RowNumbers) -> Nearest:
    """Return the rows behind what was found, given the row of each; each query found something.

    A row that a query found several times counts with the best.
    """
    hits = np.flatnonzero(found.rows >= 0)
    last = np.count_nonzero(found.rows >= 0, axis=1) - 1
    farthest = found.scores[np.arange(len(last)), last]
    queries, places = np.divmod(hits, found.rows.shape[1])
    distinct, at = np.unique(rows, return_inverse=True)
    _, firsts = np.unique(queries * len(distinct) + at, return_index=True)  # the first is the best
    better = np.abs(found.scores[queries[firsts], places[firsts]] - farthest[queries[firsts]])
    gains = np.bincount(at[firsts], better, len(distinct)).astype(np.float32)
    return Nearest(distinct, gains, farthest)


@dataclasses.dataclass(frozen=True)
class Fields:
    """Which fields of rows are wanted beside their ids."""

    values: bool
    metadata: bool


@dataclasses.dataclass(frozen=True)
class Page:
    """A piece of a namespace's ids: those with a prefix, greater than `after`, at most `limit`."""

    namespace: str
    prefix: str
    after: str
    limit: int


class Texts(Protocol):
    """The texts of a part's rows in one field."""

    @property
    def lengths(self) -> npt.NDArray[np.uint32]:
        """How many terms each row has; 0 where it has no text."""

    def find(self, term: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Return the rows that have a term, ascending, live or not, and how often."""


class Part(Protocol):
    """An immutable view of one part of a shard."""

    @property
    def segment(self) -> object:
        """What this is a view of; two views of one segment hold the same rows."""

    @property
    def metric(self) -> config.Metric:
        """How vectors are compared."""

    @property
    def waits(self) -> bool:
        """Whether it is compared row by row: nothing is built over its rows' values, or not yet."""

    @property
    def comparable(self) -> Vectors:
        """The rows' values as they are compared, (rows, dimensions)."""

    @property
    def live(self) -> Mask:
        """Which rows exist."""

    @property
    def live_rows(self) -> int:
        """How many rows exist."""

    @property
    def dead_rows(self) -> int:
        """How many rows are still stored but exist no more."""

    def without(self, rows: RowNumbers) -> Self:
        """Return the view in which these rows are dead too; itself where there are none."""

    def find(self, sought: keys.Keys) -> RowNumbers:
        """Return the live row of each key, -1 where this part has none."""

    def first_by_id(self, rows: RowNumbers, count: int) -> RowNumbers:
        """Return those of some rows of one namespace, ascending, that have the smallest ids."""

    def text_sums(self, namespace: str, field: str, language: config.Language) -> tuple[int, int]:
        """Return how many live rows of a namespace have text in a field, and the terms of all of them."""

    def mask_of(self, namespace: str) -> Mask:
        """Return which rows are live and of a namespace."""

    def texts(self, field: str, language: config.Language) -> Texts:
        """Return the texts of a declared text field, analysed by its language."""

    def matching(self, namespace: str, wanted: filters.Filter | None) -> RowNumbers:
        """Return the live rows of a namespace that pass."""

    def chosen(self, question: Question) -> Mask | None:
        """Return which rows may match, None for all."""

    def search(self, question: Question) -> base.Neighbours:
        """Return the best live rows for each query."""

    def take(self, rows: RowNumbers, fields: Fields) -> records.Rows:
        """Return rows by number; vectors of no row, no fields and no metadata, where they are not wanted."""

    def compared(self, name: str) -> ragged.Ragged:
        """Return a vector field, or with an empty name the rows' values, as it is compared."""

    def products(self, asked: sparse.Vector) -> sparse.Products:
        """Return the dot products of a sparse vector with all rows, live or not."""

    def nearest(self, sought: Sought) -> Nearest | None:
        """Return rows with vectors near the queries; None where comparing all costs less."""

    def list_ids(self, page: Page) -> list[str]:
        """Return ids of live rows in ascending order."""

    def count(self, wanted: filters.Filter | None) -> dict[str, int]:
        """Return how many live rows pass, by namespace; namespaces without such rows may be missing."""

    def versions(self) -> tuple[RowNumbers, Hashes, Hashes]:
        """Return number, key hash and seq of each live row, in no order."""

    def keys_of(self, rows: RowNumbers) -> list[keys.Keys]:
        """Return the keys of rows, by namespace."""


def only_live(found: RowNumbers, live: Mask) -> RowNumbers:
    """Return found rows with -1 in place of those that are dead."""
    at = np.flatnonzero(found >= 0)
    found[at[~live[found[at]]]] = -1
    return found
