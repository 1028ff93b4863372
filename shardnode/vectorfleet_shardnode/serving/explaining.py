"""What a shard tells of a query that asks for it: which segments it looked into, and how long that took.

It is told beside the answer and costs a count of the rows that pass in each segment; nobody else pays for it.
"""

import dataclasses

import msgspec
import numpy as np

from .. import filters, sparse, text_search
from ..api import shard_pb2
from ..multivector import question
from ..segments import sealed
from ..snapshot import Snapshot

GROWING = "growing"


@dataclasses.dataclass(frozen=True)
class Pass:
    """The pass that answered a query: how many queries it answered together, and the seconds that it took."""

    queries: int
    seconds: float


class Segment(msgspec.Struct, frozen=True):
    """A segment, by name; its live rows, and those of the namespace that pass the filter."""

    segment: str
    rows: int
    passing: int


class Term(msgspec.Struct, frozen=True):
    """A term of a text in one field: its stem, how often it was asked, and how many rows have it."""

    field: str
    term: str
    asked: int
    rows: int


class Sparse(msgspec.Struct, frozen=True):
    """A sparse vector: how many indices it has, and how many rows that pass the filter have any of them."""

    asked: int
    rows: int


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One shard's part of an answer; terms where text was asked for, sparse where a sparse vector was."""

    shard: int
    milliseconds: float
    together: int
    segments: tuple[Segment, ...]
    terms: tuple[Term, ...] = ()
    sparse: Sparse | None = None


def explain(state: Snapshot, query: shard_pb2.Query, number: int, took: Pass) -> bytes:
    """Return the explanation as JSON.

    Raises:
        BadRequestError: the filter is none.
    """
    wanted = filters.parse(query.filter, state.shape.declared)
    segments = tuple(
        Segment(
            view.segment.name if isinstance(view, sealed.SealedView) else GROWING,
            view.live_rows,
            len(view.matching(query.namespace, wanted)),
        )
        for view in state.parts
    )
    terms: tuple[Term, ...] = ()
    if query.text:
        by_text = text_search.Question(query.namespace, query.text, query.top_k, wanted)
        found = text_search.explained(state, by_text)
        terms = tuple(Term(term.field, term.stem, term.asked, term.rows) for term in found)
    pairs = question.parse_sparse(query.parts, state.shape)
    asked = None if pairs is None else _sparse(state, query.namespace, wanted, pairs)
    milliseconds = round(took.seconds * 1000, 3)
    return msgspec.json.encode(Explanation(number, milliseconds, took.queries, segments, terms, asked))


def _sparse(state: Snapshot, namespace: str, wanted: filters.Filter | None, asked: sparse.Vector) -> Sparse:
    rows = 0
    for view in state.parts:
        passing = np.zeros(len(view.live), np.bool_)
        passing[view.matching(namespace, wanted)] = True
        rows += int(np.count_nonzero(passing[view.products(asked).rows]))
    return Sparse(len(asked.indices), rows)
