"""Splits requests by shard and merges the shards' answers. Pure.

Placement is `placement.shard_of`; nothing here knows how a shard is reached.
"""

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from vectorfleet_shardnode.api import config, placement, shard_pb2

from . import errors, fields, sparse

A = TypeVar("A")


class Row(msgspec.Struct, frozen=True):
    """A row as shards keep it.

    Attributes:
        id: 1 to 512 characters.
        values: float32, shape (dimensions,), or None where they were not asked for.
        metadata: JSON of an object; empty for none.
        vectors: what it has of the index's vector fields; None where it has none, or they were not asked for.
        pairs: its sparse values, likewise.
    """

    id: str
    values: NDArray[np.float32] | None
    metadata: bytes = b""
    vectors: fields.Named | None = None
    pairs: sparse.Pairs | None = None


class Hit(msgspec.Struct, frozen=True):
    """A row and its score: of the metric, of BM25, or of a fusion; and the part of it that sparse values are.

    That part is told of explained queries alone.
    """

    row: Row
    score: np.float32
    sparse: np.float32 | None = None


class Found(msgspec.Struct, frozen=True):
    """What a query found in all shards.

    Attributes:
        hits: best first.
        explanations: JSON of an object, one from each shard, where they were asked for.
        seconds: from the question to the merged answer.
        missing: why a shard did not answer, by its number; empty where all did.
        at: epoch and seq of the write that each shard stood at, by its number.
    """

    hits: Sequence[Hit]
    explanations: Sequence[bytes] = ()
    seconds: float = 0.0
    missing: Mapping[int, str] = msgspec.field(default_factory=dict)
    at: Mapping[int, tuple[int, int]] = msgspec.field(default_factory=dict)


def split_ids(namespace: str, ids: Iterable[str], shards: int) -> dict[int, list[str]]:
    """Return the ids by the number of the shard that holds them, in the order given."""
    split: dict[int, list[str]] = {}
    for row_id in ids:
        split.setdefault(placement.shard_of(namespace, row_id, shards), []).append(row_id)
    return split


def split_rows(namespace: str, rows: Sequence[Row], shards: int) -> dict[int, shard_pb2.Rows]:
    """Return the rows by the number of the shard that they go to. The last row of an id counts."""
    split: dict[int, list[Row]] = {}
    for row in {row.id: row for row in rows}.values():
        split.setdefault(placement.shard_of(namespace, row.id, shards), []).append(row)
    return {number: _pack(part) for number, part in split.items()}


def unpack(rows: shard_pb2.Rows, generation: config.Generation) -> list[Row]:
    """Return the rows of a shard's answer."""
    count = len(rows.ids)
    if not count:
        return []
    values: Iterable[NDArray[np.float32] | None] = itertools.repeat(None)
    if rows.vectors:
        values = np.frombuffer(rows.vectors, dtype="<f4").reshape(count, -1)
    metadata: Iterable[bytes] = rows.metadata or itertools.repeat(b"")
    vectors: Iterable[fields.Named | None] = fields.unpack(rows.fields, generation) or itertools.repeat(None)
    pairs: Iterable[sparse.Pairs | None] = sparse.unpack(rows.fields) or itertools.repeat(None)
    return list(map(Row, rows.ids, values, metadata, vectors, pairs))


def merge_matches(
    answers: Sequence[shard_pb2.Matches], query: shard_pb2.Query, generation: config.Generation
) -> list[Hit]:
    """Return the best of all shards' matches, best first; of equal scores the lower id comes first.

    Args:
        answers: one from each shard, best first.
        query: what they answer; under Euclidean distance a smaller score is better, unless it is of text.
        generation: of the index.
    """
    hits = [hit for answer in answers for hit in _hits(answer, generation)]
    if len(answers) > 1:
        nearest = generation.metric is config.Metric.EUCLIDEAN and not query.text
        sign = 1 if nearest else -1
        hits.sort(key=lambda hit: (sign * hit.score, hit.row.id))
    return hits[: query.top_k]


def _hits(answer: shard_pb2.Matches, generation: config.Generation) -> Iterable[Hit]:
    scores = np.frombuffer(answer.scores, dtype="<f4")
    parts: Iterable[np.float32 | None] = itertools.repeat(None)
    if answer.sparse_scores:
        parts = np.frombuffer(answer.sparse_scores, dtype="<f4")
    return map(Hit, unpack(answer.rows, generation), scores, parts)


def part_answers(answers: Sequence[A | BaseException]) -> tuple[list[A], dict[int, str]]:
    """Return what shards answered, and why others did not, by number.

    Args:
        answers: one of each shard: what it answered, or what it failed with.

    Raises:
        BaseException: the first failure, where no shard answered, or where one failed for another reason than
            a shard's: a question that can't be answered is no better answered in part.
    """
    found: list[A] = []
    missing: dict[int, str] = {}
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    for number, answer in enumerate(answers):
        if not isinstance(answer, BaseException):
            found.append(answer)
        elif isinstance(answer, errors.ApiError) and answer.is_the_servers:
            missing[number] = str(answer)
        else:
            raise answer
    if failures and not found:
        raise failures[0]
    return found, missing


def merge_ids(answers: Sequence[Sequence[str]], limit: int) -> list[str]:
    """Return the first ids of all shards' lists, ascending; each list is ascending."""
    return list(itertools.islice(heapq.merge(*answers), limit))


def merge_counts(answers: Iterable[shard_pb2.StatsReply]) -> dict[str, int]:
    """Return the rows of each namespace that has any, by name, ascending."""
    counts: dict[str, int] = {}
    for answer in answers:
        for name, rows in answer.namespaces.items():
            counts[name] = counts.get(name, 0) + rows
    return {name: counts[name] for name in sorted(counts) if counts[name]}


def _pack(rows: Sequence[Row]) -> shard_pb2.Rows:
    # An upsert carries every row's values and metadata, empty metadata included.
    values = np.stack([row.values for row in rows if row.values is not None])
    return shard_pb2.Rows(
        ids=[row.id for row in rows],
        vectors=values.astype("<f4", copy=False).tobytes(),
        metadata=[row.metadata for row in rows],
        fields=fields.pack([row.vectors for row in rows]) + sparse.pack([row.pairs for row in rows]),
    )
