"""What a query by parts asks for, checked: terms of a weighted sum, each over one vector field."""

import dataclasses
import math
from collections.abc import Sequence

from .. import errors, filters
from .. import shape as shapes
from ..api import config, shard_pb2
from ..arrays import Vectors
from ..engines import base

MAX_PARTS = 16
MAX_DEPTH = 10_000
"""Vectors that are looked at for each vector of a query."""
MAX_SEEN = 100_000
"""Vectors that are looked at for all of them, unless already the first look is at more."""
_MIN_DEPTH, _DEEPER, _STEPS, _LATE = 32, 4, 4, 2
MAX_QUERY_TOKENS = 512
"""Vectors that a query may have for a field of token vectors."""


@dataclasses.dataclass(frozen=True)
class Term:
    """One term of the sum: weight x the score of `queries`, (tokens, dimensions), comparable, in a field.

    The field of an empty name is the rows' values. `late` terms are scored by MaxSim.
    """

    field: str
    queries: Vectors
    weight: float
    late: bool


@dataclasses.dataclass(frozen=True)
class Question:
    """One query.

    Attributes:
        namespace: whose rows are searched.
        terms: what is added up, one at least.
        k: how many matches, 1 or more.
        wanted: which rows may match; None for all.
        ef: HNSW's efSearch.
        depths: how many of the nearest are looked at for each vector of the query, at first, then, and so on.
        exact: compare with every row.
    """

    namespace: str
    terms: tuple[Term, ...]
    k: int
    wanted: filters.Filter | None
    ef: int
    depths: tuple[int, ...]
    exact: bool


def depths_of(k: int, asked: int, default: int, terms: Sequence[Term]) -> tuple[int, ...]:
    """Return how deep to look: once, where a query asked for an oversampling, else as deep as needed.

    Several of the nearest tokens are of one row, so a query with a late term begins deeper. One with many
    tokens ends sooner, so that a query that is like nothing does not keep its shard busy.
    """
    if asked:
        return (min(k * asked, MAX_DEPTH),)
    late, vectors = any(term.late for term in terms), sum(len(term.queries) for term in terms)
    first = min(max(k * default, _MIN_DEPTH) * (_LATE if late else 1), MAX_DEPTH)
    most = min(MAX_DEPTH, max(first, MAX_SEEN // vectors))
    return tuple(dict.fromkeys(min(first * _DEEPER**step, most) for step in range(_STEPS)))


def parse_terms(
    parts: Sequence[shard_pb2.QueryPart], shape: shapes.Shape, *, exact: bool = False
) -> tuple[Term, ...]:
    """Return the terms of a query.

    Raises:
        BadRequestError: too many parts, an unknown field, vectors that don't fit it, or a weight that is
            none, or negative where only an exact search can obey it.
    """
    if len(parts) > MAX_PARTS:
        raise errors.BadRequestError(f"the query has {len(parts)} parts; at most {MAX_PARTS} are taken")
    terms = tuple(_parse_term(number, part, shape) for number, part in enumerate(parts))
    for number, term in enumerate(terms):
        unlike = term.late or shape.metric is config.Metric.EUCLIDEAN
        if term.weight < 0 and unlike and not exact:
            what = "token vectors" if term.late else "Euclidean distances"
            raise errors.BadRequestError(
                f"part {number} has the weight {term.weight:g}; with {what} a negative one needs exact search"
            )
    return terms


def _parse_term(number: int, part: shard_pb2.QueryPart, shape: shapes.Shape) -> Term:
    if not math.isfinite(part.weight) or part.weight == 0:
        raise errors.BadRequestError(
            f"part {number} has the weight {part.weight:g}; a weight is a finite number other than 0"
        )
    if not part.field:
        vectors, late = shapes.parse_vectors(part.vectors, 1, shape), False
    else:
        field = shape.field(part.field)
        vectors, late = shapes.parse_items(part.vectors, field, shape.metric), field.late_interaction
        _check_tokens(field, len(vectors))
    return Term(part.field, base.comparable(shape.metric, vectors), part.weight, late)


def _check_tokens(field: config.VectorField, tokens: int) -> None:
    most = MAX_QUERY_TOKENS if field.late_interaction else 1
    if not 1 <= tokens <= most:
        wanted = f"1 to {most} are taken" if field.late_interaction else "one is taken"
        raise errors.BadRequestError(f'{tokens} vectors were sent for field "{field.name}"; {wanted}')
