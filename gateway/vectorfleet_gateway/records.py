"""Rows and searches as Pinecone's indexes with a model of their own have them: records. Pure.

A record is a JSON object: an id, a text in the index's field for it, and metadata in the other fields. A
search is a query of the usual kind in other words, and its matches are told in other words too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from vectorfleet_shardnode.api import config

from . import errors, fusion, limits, record_schemas, replies, schemas

_IDS = ("_id", "id")
_ALL = "*"
_LINES = re.compile(rb"\S[^\n]*")
"""Lines that are not blank, from their first character."""

_record = schemas.Decoder(msgspec.json.Decoder(dict[str, Any]))


def parse(body: bytes, text_field: str) -> list[schemas.Vector]:
    """Return the rows of a body that has one record on each line; blank lines are passed over.

    Raises:
        InvalidArgumentError: a line is no record, or there are none or too many. The line is named.
    """
    rows: list[schemas.Vector] = []
    for line in _LINES.finditer(body):  # one at a time: a list of all could be forty times the body
        if len(rows) == limits.MAX_VECTORS:
            raise errors.InvalidArgumentError(
                f"more than {limits.MAX_VECTORS} records in one request; send smaller batches"
            )
        try:
            rows.append(_row(_record(line[0]), text_field))
        except errors.InvalidArgumentError as error:
            number = body.count(b"\n", 0, line.start()) + 1
            raise errors.InvalidArgumentError(f"line {number}: {error}") from None
    if not rows:
        raise errors.InvalidArgumentError("the body has no record; this route takes one on each line")
    return rows


def _row(record: dict[str, Any], text_field: str) -> schemas.Vector:
    named = [name for name in _IDS if name in record]
    if len(named) != 1:
        raise errors.InvalidArgumentError("a record needs its id as _id or as id, and not both")
    row_id, text = record.pop(named[0]), record.get(text_field)
    if not isinstance(row_id, str):
        raise errors.InvalidArgumentError(f"{named[0]} is no string")
    if not isinstance(text, str):
        raise errors.InvalidArgumentError(
            f"id {row_id[:64]!r} has no text in the field {text_field[:64]!r}, which the index embeds"
        )
    return schemas.Vector(id=row_id, text=text, metadata=record)


def question(request: record_schemas.Search, namespace: str, index: config.IndexConfig) -> schemas.Query:
    """Return a search as a query.

    Raises:
        InvalidArgumentError: it asks what is not served.
    """
    query = request.query
    if schemas.given(query.match_terms) is not None:
        raise errors.InvalidArgumentError("query.match_terms is of sparse indexes, which there are none of")
    vector, inputs = schemas.given(query.vector), schemas.given(query.inputs)
    wanted = schemas.Query(
        top_k=query.top_k,
        vector=msgspec.UNSET if vector is None else vector.values,
        sparse_vector=msgspec.UNSET if vector is None else _sparse(vector),
        id=query.id,
        text=msgspec.UNSET if inputs is None else inputs.text,
        namespace=namespace,
        filter=query.filter,
        include_metadata=schemas.given(request.fields) != [],
    )
    rerank = schemas.given(request.rerank)
    return wanted if rerank is None else _reranked(wanted, rerank, index)


def _sparse(vector: record_schemas.SearchVector) -> schemas.SparseValues | None:
    indices, values = schemas.given(vector.sparse_indices), schemas.given(vector.sparse_values)
    if (indices is None) != (values is None):
        raise errors.InvalidArgumentError(
            "query.vector needs both of sparse_indices and sparse_values, or neither"
        )
    return None if indices is None or values is None else schemas.SparseValues(indices, values)


def _reranked(
    wanted: schemas.Query, rerank: record_schemas.SearchRerank, index: config.IndexConfig
) -> schemas.Query:
    if index.reranker is not None and rerank.model != index.reranker.model:
        raise errors.InvalidArgumentError(
            f"rerank.model is {rerank.model[:64]!r}; the index's reranker is {index.reranker.model!r}"
        )
    if len(rerank.rank_fields) != 1:
        raise errors.InvalidArgumentError("rerank.rank_fields must name one metadata field")
    if schemas.given(rerank.parameters):
        raise errors.InvalidArgumentError("rerank.parameters are not passed on; leave them out")
    top_n = schemas.given(rerank.top_n)
    limits.check_range("rerank.top_n", wanted.top_k if top_n is None else top_n, 1, wanted.top_k)
    how = schemas.Rerank(query=rerank.query, field=rerank.rank_fields[0], candidates=wanted.top_k)
    return msgspec.structs.replace(wanted, top_k=wanted.top_k if top_n is None else top_n, rerank=how)


@dataclass(frozen=True, slots=True)
class Telling:
    """How the matches of a search are told.

    Attributes:
        fields: of the metadata, to tell; None for all.
    """

    fields: Sequence[str] | None

    @property
    def key(self) -> str:
        """By what two tellings of one answer are told apart."""
        return orjson.dumps({"records": self.fields}).decode()

    def tell(self, answer: replies.Answer, read_units: int) -> replies.Reply:
        """Return the answer."""
        hits = [self._hit(one) for one in answer.matches]
        return replies.encoded({"result": {"hits": hits}, "usage": {"read_units": read_units}})

    def _hit(self, match: fusion.Fused) -> Mapping[str, Any]:
        row = match.hit.row
        return {"_id": row.id, "_score": match.hit.score, "fields": self._pick(row.metadata)}

    def _pick(self, metadata: bytes) -> Any:
        if not metadata or self.fields == []:
            return {}
        if self.fields is None or _ALL in self.fields:
            return orjson.Fragment(metadata)
        kept = orjson.loads(metadata)
        return {name: kept[name] for name in self.fields if name in kept}
