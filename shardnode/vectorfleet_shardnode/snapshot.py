"""One consistent state of a shard: the views of all its parts at one seq, and every read over them.

A key lives in one part at most, so reads gather from the parts and never have to choose between versions.
"""

import dataclasses
import functools
import heapq
import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import filters, keys, ragged, records, screening, sketching, sparse
from . import shape as shapes
from .api import config
from .arrays import RowNumbers, Scores, Vectors
from .engines import base
from .segments import growing, part, sealed

_REMEMBERED_PLACES = 64


@dataclasses.dataclass(frozen=True)
class Place:
    """Where rows stand: for each the number of its part, -1 for none, and its row there.

    `only` is the part that all of them are in, where that is known.
    """

    parts: npt.NDArray[np.int64]
    rows: RowNumbers
    only: int | None = None


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The parts of a shard after the write (epoch, seq). The last growing view still grows.

    All states of a shard have one `sketch`: it is kept beside them, and knows rows of any of them.
    """

    seq: int
    shape: shapes.Shape
    sealed: tuple[sealed.SealedView, ...]
    growing: tuple[growing.GrowingView, ...]
    epoch: int = 0
    sketch: sketching.Sketch = dataclasses.field(default_factory=sketching.Sketch)

    @property
    def metric(self) -> config.Metric:
        """How vectors are compared."""
        return self.shape.metric

    @property
    def dimensions(self) -> int:
        """Of rows' values."""
        return self.shape.dimensions

    @property
    def parts(self) -> Sequence[part.Part]:
        """All parts."""
        return (*self.sealed, *self.growing)

    @property
    def live_rows(self) -> int:
        """How many rows exist."""
        return sum(view.live_rows for view in self.parts)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the sealed segments' files."""
        return sum(view.segment.descriptor.bytes for view in self.sealed)

    def without(self, sought: keys.Keys) -> "Snapshot":
        """Return the snapshot in which no row has these keys."""
        return dataclasses.replace(
            self,
            sealed=tuple(view.without(_present(view.find(sought))) for view in self.sealed),
            growing=tuple(view.without(_present(view.find(sought))) for view in self.growing),
        )

    def without_namespace(self, namespace: str) -> "Snapshot":
        """Return the snapshot in which the namespace has no rows."""
        return dataclasses.replace(
            self,
            sealed=tuple(view.without(view.matching(namespace, None)) for view in self.sealed),
            growing=tuple(view.without(view.matching(namespace, None)) for view in self.growing),
        )

    def locate(self, sought: keys.Keys) -> Place:
        """Find the row of each key."""
        place = Place(np.full(len(sought.ids), -1, np.int64), np.full(len(sought.ids), -1, np.int64))
        for number, view in enumerate(self.parts):
            found = view.find(sought)
            hits = found >= 0
            place.parts[hits], place.rows[hits] = number, found[hits]
        return place

    def take(self, place: Place, fields: part.Fields) -> records.Rows:
        """Return the rows of a place, in its order; those of part -1 are left out."""
        if place.only is not None:
            return self.parts[place.only].take(place.rows, fields)
        wanted: dict[int, list[int]] = {}
        order: dict[int, list[int]] = {}
        count = 0
        for owner, row in zip(place.parts.tolist(), place.rows.tolist(), strict=True):
            if owner >= 0:
                wanted.setdefault(owner, []).append(row)
                order.setdefault(owner, []).append(count)
                count += 1
        pieces = [self.parts[owner].take(np.array(rows), fields) for owner, rows in wanted.items()]
        if len(pieces) > 1:
            return _woven(pieces, list(itertools.chain.from_iterable(order.values())), fields)
        return pieces[0] if pieces else self._no_rows()

    def _no_rows(self) -> records.Rows:
        return records.Rows([], np.zeros((0, self.dimensions), np.float32), [])

    def matching_ids(self, namespace: str, wanted: filters.Filter | None) -> list[str]:
        """Return the ids of all rows that pass, in no order."""
        nothing_else = part.Fields(values=False, metadata=False)
        found = (view.take(view.matching(namespace, wanted), nothing_else).ids for view in self.parts)
        return list(itertools.chain.from_iterable(found))

    def list_ids(self, page: part.Page) -> list[str]:
        """Return a page of a namespace's ids in ascending order."""
        merged = heapq.merge(*(view.list_ids(page) for view in self.parts))
        return list(itertools.islice(merged, page.limit))

    def count(self, wanted: filters.Filter | None) -> dict[str, int]:
        """Return how many rows pass, by namespace; namespaces without such rows are left out."""
        total: Counter[str] = Counter()
        for view in self.parts:
            total.update(view.count(wanted))
        return {name: rows for name, rows in sorted(total.items()) if rows}

    def search(self, question: part.Question) -> list[tuple[Scores, Place]]:
        """Return the best matches for each query, best first."""
        together = (
            None if question.exact or not self._waiting else self.sketch.search(self._waiting, question)
        )
        alone = self._living if together is None else self._indexed
        every: list[screening.Answer] = [(number, view.search(question)) for number, view in alone]
        answers = [(found, answer) for found, answer in every + (together or []) if answer.rows.shape[1]]
        if len(answers) == 1 and isinstance(number := answers[0][0], int):
            return self._presented(number, answers[0][1])
        if answers:
            return self._merged(answers, question.k)
        nowhere = np.zeros(0, np.int64)
        return [(np.zeros(0, np.float32), Place(nowhere, nowhere))] * len(question.queries)

    @functools.cached_property
    def _living(self) -> list[sketching.Numbered]:
        """The parts that have a row which exists, with their numbers."""
        return [(number, view) for number, view in enumerate(self.parts) if view.live_rows]

    @functools.cached_property
    def _waiting(self) -> list[sketching.Numbered]:
        """Those of them that wait for a graph."""
        return [(number, view) for number, view in self._living if view.waits]

    @functools.cached_property
    def _indexed(self) -> list[sketching.Numbered]:
        """The others."""
        return [(number, view) for number, view in self._living if not view.waits]

    def keep_sketch(self) -> None:
        """Make codes of rows that wait, where somebody searches them; for one thread."""
        self.sketch.look([view for view in self.parts if view.waits], self.metric)

    def _presented(self, number: int, answer: base.Neighbours) -> list[tuple[Scores, Place]]:
        """Return the matches of a shard in which only one part has any: they are in order already."""
        shown, most = base.presented(self.metric, answer.scores), answer.rows.shape[1]
        parts, found = _all_in(number, most), []
        for scores, rows in zip(shown, answer.rows, strict=True):
            # What does not exist stands at the end.
            count = most if rows[-1] >= 0 else int(np.count_nonzero(rows >= 0))
            found.append((scores[:count], Place(parts[:count], rows[:count], number)))
        return found

    def _merged(self, answers: Sequence[screening.Answer], k: int) -> list[tuple[Scores, Place]]:
        scores = np.concatenate([answer.scores for _, answer in answers], axis=1)
        rows = np.concatenate([answer.rows for _, answer in answers], axis=1)
        parts = np.concatenate([_parts(found, answer.rows.shape) for found, answer in answers], axis=1)
        badness = np.where(rows < 0, np.inf, -base.sign_of(self.metric) * scores)
        best = badness.argsort(axis=1, kind="stable")[:, :k]
        shown = base.presented(self.metric, scores)
        found = []
        for columns, mine, numbers, own in zip(best, shown, parts, rows, strict=True):
            exists = own.take(columns) >= 0
            chosen = columns if exists[-1] else columns[exists]  # what does not exist stands at the end
            found.append((mine.take(chosen), Place(numbers.take(chosen), own.take(chosen))))
        return found

    def comparable(self, vectors: Vectors) -> Vectors:
        """Return query vectors as the engines compare them."""
        return base.comparable(self.metric, vectors)


@functools.lru_cache(_REMEMBERED_PLACES)
def _all_in(number: int, count: int) -> npt.NDArray[np.int64]:
    """Return the parts of rows that are all in one part."""
    parts = np.full(count, number)
    parts.flags.writeable = False
    return parts


def _parts(found: int | npt.NDArray[np.int64], shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return the part of each match, (queries, matches)."""
    return np.broadcast_to(_all_in(found, shape[1]), shape) if isinstance(found, int) else found


def _present(found: RowNumbers) -> RowNumbers:
    return found[found >= 0]


def _woven(pieces: Sequence[records.Rows], places: Sequence[int], fields: part.Fields) -> records.Rows:
    """Return the rows of all pieces, one behind the other, at these places."""
    order = sorted(range(len(places)), key=places.__getitem__)
    ids = [row_id for piece in pieces for row_id in piece.ids]
    metadata = [content for piece in pieces for content in piece.metadata]
    woven = records.Rows(
        [ids[at] for at in order], pieces[0].vectors, [metadata[at] for at in order] if metadata else []
    )
    if not fields.values:
        return woven
    columns = {
        name: ragged.concatenated([piece.fields[name] for piece in pieces]) for name in pieces[0].fields
    }
    pairs = sparse.concatenated([(len(piece.ids), piece.sparse) for piece in pieces])
    return dataclasses.replace(
        woven,
        vectors=np.concatenate([piece.vectors for piece in pieces])[order],
        fields={name: column.take(np.array(order)) for name, column in columns.items()},
        sparse=None if pairs is None else pairs.take(np.array(order)),
    )
