"""The form of OpenAI's `/v1/embeddings`: from texts to a request, from its answer to vectors. Pure."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from vectorfleet_shardnode.api import config, services

from .. import errors, limits

PATH = "/embeddings"
Matrix = NDArray[np.float32]
"""Vectors, float32, shape (n, dimensions)."""


class Role(enum.StrEnum):
    """What a text is for; some models embed the two differently."""

    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an embedder answered: vectors in the order of the texts, and the name that it gives its model."""

    vectors: Matrix
    model: str


class _Item(msgspec.Struct):
    embedding: list[float]
    index: int


class _Body(msgspec.Struct):
    data: list[_Item]
    model: str | None = None


_decoder = msgspec.json.Decoder(_Body)


def max_bytes(settings: services.Embedder, dimensions: int) -> int:
    """Return how long an answer may be: 32 characters a number, and room for the rest."""
    return 64 * 1024 + settings.batch_size * (dimensions * 32 + 1024)


def request(settings: services.Embedder, role: Role, texts: Sequence[str], dimensions: int) -> bytes:
    """Return the body that asks for some texts' vectors."""
    how = settings.query if role is Role.QUERY else settings.document
    body: dict[str, object] = {
        "model": settings.model,
        "input": [how.prefix + text for text in texts],
        "encoding_format": "float",
    }
    if how.input_type:
        body["input_type"] = how.input_type
    if settings.send_dimensions:
        body["dimensions"] = dimensions
    return msgspec.json.encode(body)


def vectors(body: bytes, count: int, generation: config.Generation) -> Answer:
    """Return the vectors of an answer, in the order of the texts.

    Raises:
        BadGatewayError: it is none, or its vectors are not what the index takes.
    """
    try:
        answer = _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise errors.BadGatewayError("the embedder's answer is not of the form of /v1/embeddings") from None
    items = sorted(answer.data, key=lambda item: item.index)
    if [item.index for item in items] != list(range(count)):
        raise errors.BadGatewayError(f"the embedder answered {len(items)} vectors for {count} texts")
    if items and len(items[0].embedding) != generation.dimensions:
        raise errors.BadGatewayError(
            f"the embedder's vectors have {len(items[0].embedding)} dimensions; the index has "
            f"{generation.dimensions}: it runs another model than the index is for"
        )
    named = [("the embedder's vector", item.embedding) for item in items]
    try:
        matrix = limits.vectors_of(named, generation.dimensions, generation.metric)
    except errors.InvalidArgumentError as error:  # of the embedder's making, not of the caller's
        raise errors.BadGatewayError(str(error)) from None
    return Answer(matrix, (answer.model or "")[:256])
