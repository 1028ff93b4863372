"""What a query by parts asks for, checked: a weighted sum over vector fields and sparse values."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from .. import errors, filters, sparse
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

    The field of an empty name is the rows' values. `late` terms are scored by MaxSim. Where candidates are
    found by codes, `oversampling` and `rescore` are as in `part.Sought`; scores are exact all the same.
    """

    field: str
    queries: Vectors
    weight: float
    late: bool
    oversampling: int = 0
    rescore: bool = True


@dataclasses.dataclass(frozen=True)
class Question:
    """One query.

    Attributes:
        namespace: whose rows are searched.
        terms: what is added up, one at least, unless there is a sparse vector.
        k: how many matches, 1 or more.
        wanted: which rows may match; None for all.
        ef: HNSW's efSearch.
        depths: how many of the nearest are looked at for each vector of the query, at first, then, and so on.
        exact: compare with every row.
        sparse_vector: whose dot product with rows' sparse values is added; None for none.
    """

    namespace: str
    terms: tuple[Term, ...]
    k: int
    wanted: filters.Filter | None
    ef: int
    depths: tuple[int, ...]
    exact: bool
    sparse_vector: sparse.Vector | None = None


def depths_of(k: int, asked: int, default: int, terms: Sequence[Term]) -> tuple[int, ...]:
    """Return how deep to look: once, where a query asked for an oversampling, else as deep as needed.

    Several of the nearest tokens are of one row, so a query with a late term begins deeper. One with many
    tokens ends sooner, so that a query that is like nothing does not keep its shard busy.
    """
    if asked:
        return (min(k * asked, MAX_DEPTH),)
    late, vectors = any(term.late for term in terms), sum(len(term.queries) for term in terms)
    first = min(max(k * default, _MIN_DEPTH) * (_LATE if late else 1), MAX_DEPTH)
    most = min(MAX_DEPTH, max(first, MAX_SEEN // max(1, vectors)))
    return tuple(dict.fromkeys(min(first * _DEEPER**step, most) for step in range(_STEPS)))


def parse_terms(
    parts: Sequence[shard_pb2.QueryPart], shape: shapes.Shape, *, exact: bool = False
) -> tuple[Term, ...]:
    """Return the terms of a query over vectors.

    Raises:
        BadRequestError: too many parts, an unknown field, vectors that don't fit it, or a weight that is
            none, or negative where only an exact search can obey it.
    """
    if len(parts) > MAX_PARTS:
        raise errors.BadRequestError(f"the query has {len(parts)} parts; at most {MAX_PARTS} are taken")
    terms = {
        number: _parse_term(number, part, shape)
        for number, part in enumerate(parts)
        if part.field != config.SPARSE
    }
    for number, term in terms.items():
        unlike = term.late or shape.metric is config.Metric.EUCLIDEAN
        if term.weight < 0 and unlike and not exact:
            what = "token vectors" if term.late else "Euclidean distances"
            raise errors.BadRequestError(
                f"part {number} has the weight {term.weight:g}; with {what} a negative one needs exact search"
            )
    return tuple(terms.values())


def parse_sparse(parts: Sequence[shard_pb2.QueryPart], shape: shapes.Shape) -> sparse.Vector | None:
    """Return the sparse vector of a query, weighed; None where no part is one.

    Raises:
        BadRequestError: there are two, it is empty or too long, an index comes twice, or the metric is
            another one than dot product.
    """
    found = [(number, part) for number, part in enumerate(parts) if part.field == config.SPARSE]
    if not found:
        return None
    if len(found) > 1:
        raise errors.BadRequestError(f"{len(found)} parts are of sparse values; send one")
    [(number, part)] = found
    _check_weight(number, part)
    pairs = shapes.parse_pairs(part.indices, part.vectors, shape)
    if not 1 <= len(pairs) <= shapes.MAX_PAIRS:
        raise errors.BadRequestError(
            f"the query has {len(pairs)} sparse values; 1 to {shapes.MAX_PAIRS} are taken"
        )
    shapes.check_distinct(pairs["index"])
    return sparse.Vector(pairs["index"], pairs["value"].astype(np.float64) * part.weight)


def _parse_term(number: int, part: shard_pb2.QueryPart, shape: shapes.Shape) -> Term:
    _check_weight(number, part)
    if not part.field:
        vectors = shapes.parse_vectors(part.vectors, 1, shape)
        return Term("", base.comparable(shape.metric, vectors), part.weight, late=False)
    field = shape.field(part.field)
    vectors = shapes.parse_items(part.vectors, field, shape.metric)
    _check_tokens(field, len(vectors))
    compared, code = base.comparable(shape.metric, vectors), field.quantization
    return Term(field.name, compared, part.weight, field.late_interaction, code.oversampling, code.rescore)


def _check_weight(number: int, part: shard_pb2.QueryPart) -> None:
    if not math.isfinite(part.weight) or part.weight == 0:
        raise errors.BadRequestError(
            f"part {number} has the weight {part.weight:g}; a weight is a finite number other than 0"
        )


def _check_tokens(field: config.VectorField, tokens: int) -> None:
    most = MAX_QUERY_TOKENS if field.late_interaction else 1
    if not 1 <= tokens <= most:
        wanted = f"1 to {most} are taken" if field.late_interaction else "one is taken"
        raise errors.BadRequestError(f'{tokens} vectors were sent for field "{field.name}"; {wanted}')
