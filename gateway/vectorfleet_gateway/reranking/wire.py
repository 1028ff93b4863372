"""The form of `/v1/rerank` at Cohere, Jina and vLLM: from texts to a request, and back to scores. Pure."""

import math
from collections.abc import Sequence

import msgspec

from vectorfleet_shardnode.api import services

from .. import errors

PATH = "/rerank"
MAX_BYTES = 16 * 1024 * 1024
"""Of an answer; some services send the texts back."""


class _Result(msgspec.Struct):
    index: int
    relevance_score: float


class _Body(msgspec.Struct):
    results: list[_Result]


_decoder = msgspec.json.Decoder(_Body)


def request(settings: services.Reranker, query: str, texts: Sequence[str]) -> bytes:
    """Return the body that asks how relevant some texts are to a query; long ones are cut."""
    return msgspec.json.encode(
        {
            "model": settings.model,
            "query": query,
            "documents": [text[: settings.max_characters] for text in texts],
            "top_n": len(texts),
        }
    )


def scores(body: bytes, count: int) -> list[float]:
    """Return the scores of an answer, in the order of the texts; greater is more relevant.

    Raises:
        BadGatewayError: it is none.
    """
    try:
        results = _decoder.decode(body).results
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise errors.BadGatewayError("the reranker's answer is not of the form of /v1/rerank") from None
    found = {result.index: result.relevance_score for result in results}
    if len(results) != count or found.keys() != set(range(count)):
        raise errors.BadGatewayError(f"the reranker answered {len(results)} scores for {count} texts")
    if not all(math.isfinite(score) for score in found.values()):
        raise errors.BadGatewayError("the reranker answered a score that is no finite number")
    return [found[number] for number in range(count)]
