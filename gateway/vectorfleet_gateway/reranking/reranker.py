"""The reranker as the index has it: the first matches in, the same in a better order out."""

import asyncio
import time
from collections.abc import Sequence

from vectorfleet_shardnode.api import services

from .. import fusion
from ..outbound import service
from . import order, wire


class Reranker:
    """An index's reranker.

    Args:
        settings: as the index has it.
        asked: the service itself.
    """

    def __init__(self, settings: services.Reranker, asked: service.Service) -> None:
        self._settings = settings
        self._service = asked

    async def rerank(
        self, how: order.Rerank, matches: Sequence[fusion.Fused], top_k: int, seconds: float
    ) -> order.Reranked:
        """Return the best matches by the service's judgement.

        Raises:
            InvalidArgumentError: the service refuses a text.
            ExhaustedError: it is asked more than it can answer.
            BadGatewayError, UnavailableError, DeadlineExceededError: it is of no use; the message says how.
        """
        started = time.perf_counter()
        looked_at = matches[: how.candidates]
        texts = order.texts_of(looked_at, how.field)
        told = [text for text in texts if text]
        judged = iter(await self._judge(how.query, told, seconds))
        scores = [next(judged) if text else None for text in texts]
        best = order.reorder(looked_at, scores, how, top_k)
        return order.Reranked(best, len(texts) - len(told), time.perf_counter() - started)

    async def close(self) -> None:
        """Let go of the service."""
        await self._service.close()

    async def _judge(self, query: str, texts: Sequence[str], seconds: float) -> list[float]:
        size = self._settings.batch_size
        parts = [texts[start : start + size] for start in range(0, len(texts), size)]
        answers = await asyncio.gather(
            *(self._ask(query, part, seconds) for part in parts), return_exceptions=True
        )
        found: list[float] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            found += answer
        return found

    async def _ask(self, query: str, texts: Sequence[str], seconds: float) -> list[float]:
        body = wire.request(self._settings, query, texts)
        return wire.scores(await self._service.post(wire.PATH, body, seconds), len(texts))
