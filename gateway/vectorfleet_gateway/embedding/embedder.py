"""The embedder as the index has it: texts in, vectors out, all of one model.

Which model it was, the index remembers in rows of its own: vectors of texts that never change, written before
the first row that was embedded. Each request that embeds rows has such a text with it, so that no vector of
another model is ever written; with a request for queries one goes at least every `CHECK_SECONDS`. What the
cache holds is no exception: the same texts go at the same times, and a cache of another model is emptied.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vectorfleet_shardnode.api import config, services

from .. import errors, lru, metrics
from ..outbound import service
from . import gathering, probes, wire
from .wire import Matrix, Role

CHECK_SECONDS = 10.0
_ENTRY_BYTES = 250
"""What the cache's own structures take for one text, measured."""


class Memory(Protocol):
    """Where an index remembers by which model its vectors were made."""

    async def read(self, seconds: float, *, strong: bool) -> Matrix | None:
        """Return the vectors of the probes, in order; None where nothing is remembered.

        One that is not strong may come from a replica that lags, and may lack what others have.
        """
        ...

    async def write(self, vectors: Matrix, model: str, seconds: float) -> None:
        """Remember the vectors of the probes, durably."""
        ...

    async def is_empty(self, seconds: float) -> bool:
        """Return whether no user has a row in the index, by a strong read."""
        ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of some texts.

    Attributes:
        vectors: float32, shape (texts, dimensions), in the order of the texts.
        cached: how many different ones came from the cache.
        seconds: that it took.
    """

    vectors: Matrix
    cached: int
    seconds: float


class Embedder:
    """An index's embedder.

    Args:
        settings: as the index has it.
        generation: says dimensions and metric.
        asked: the service itself.
        memory: of the index.
    """

    def __init__(
        self,
        settings: services.Embedder,
        generation: config.Generation,
        asked: service.Service,
        memory: Memory,
    ) -> None:
        self.settings = settings
        self._generation = generation
        self._service = asked
        self._memory = memory
        self._gatherer = gathering.Gatherer(self._send, settings.batch_size - 1, settings.concurrency)
        self._cache: lru.Lru[tuple[Role, str], Matrix] = lru.Lru(settings.cache_bytes)
        self._known: Matrix | None = None
        self._stored = False
        self._formers = 0  # models that the index had and has no more
        self._checked_at = -CHECK_SECONDS
        self._turn = asyncio.Lock()

    async def embed(self, texts: Sequence[str], role: Role, seconds: float) -> Embedded:
        """Return the vectors of texts.

        Raises:
            InvalidArgumentError: the embedder refuses a text.
            ExhaustedError: it is asked more than it can answer.
            BadGatewayError, UnavailableError, DeadlineExceededError: it is of no use; the message says how.
        """
        started, end = time.perf_counter(), time.monotonic() + seconds
        while True:
            former = self._formers
            kept = {text: found for text in texts if (found := self._cache.get((role, text))) is not None}
            missing = [text for text in dict.fromkeys(texts) if text not in kept]
            if not missing and role is Role.DOCUMENT:  # one goes again, and the text that tells models apart
                del kept[texts[0]]
                missing = [texts[0]]
            elif not missing and self._is_due(role):
                await self._probe(role, end)
            fresh = await self._fresh(role, missing, end)
            if former == self._formers or not kept:
                break  # or what was kept is of a model that the index has no more
        metrics.EMBEDDED_TEXTS.labels("cache").inc(len(kept))
        vectors = np.stack([kept[text] if text in kept else fresh[text] for text in texts])
        return Embedded(vectors, len(kept), time.perf_counter() - started)

    async def close(self) -> None:
        """Let go of the service."""
        await self._service.close()

    async def _fresh(self, role: Role, texts: list[str], end: float) -> dict[str, Matrix]:
        """Embed texts, and keep what they became."""
        if not texts:
            return {}
        metrics.EMBEDDED_TEXTS.labels("embedder").inc(len(texts))
        former = self._formers
        found = await self._gatherer.vectors(role, texts, end - time.monotonic())
        if former == self._formers:
            for text, vector in zip(texts, found, strict=True):
                self._cache.put((role, text), vector, vector.nbytes + len(text.encode()) + _ENTRY_BYTES)
            metrics.EMBEDDING_CACHE_BYTES.set(self._cache.size)
        return dict(zip(texts, found, strict=True))

    async def _send(self, role: Role, texts: list[str], seconds: float) -> Sequence[Matrix]:
        end = time.monotonic() + seconds
        if self._is_due(role):
            await self._probe(role, end)
        extra = probes.TEXTS[:1] if role is Role.DOCUMENT else ()
        answer = await self._ask(role, [*texts, *extra], end)
        told = answer.vectors[len(texts) :]
        if extra and not self._is_known(told):
            self._checked_at = -CHECK_SECONDS
            await self._probe(role, end)
            if not self._is_known(told):  # an empty index took to the new model, and this came of the old one
                raise _changed(answer.model)
        # Copied one by one, or one vector in the cache would keep the whole batch.
        return [vector.copy() for vector in answer.vectors[: len(texts)]]

    async def _ask(self, role: Role, texts: list[str], end: float) -> wire.Answer:
        body = wire.request(self.settings, role, texts, self._generation.dimensions)
        content = await self._service.post(wire.PATH, body, end - time.monotonic())
        return wire.vectors(content, len(texts), self._generation)

    def _is_due(self, role: Role) -> bool:
        unwritten = role is Role.DOCUMENT and not self._stored
        return unwritten or time.monotonic() - self._checked_at >= CHECK_SECONDS

    def _is_known(self, vectors: Matrix) -> bool:
        return self._known is not None and probes.are_same(vectors, self._known)

    async def _probe(self, role: Role, end: float) -> None:
        """Embed the probes, and compare them with what the index remembers."""
        async with self._turn:
            if not self._is_due(role):  # somebody else has just done it
                return
            try:
                answer = await self._ask(Role.DOCUMENT, list(probes.TEXTS), end)
            except errors.InvalidArgumentError as error:  # not for what the caller sent
                raise errors.BadGatewayError(str(error)) from None
            if not (self._is_known(answer.vectors) and (self._stored or role is Role.QUERY)):
                await self._settle(answer, role, end)
            self._checked_at = time.monotonic()

    async def _settle(self, answer: wire.Answer, role: Role, end: float) -> None:
        """Take the embedder's model for the index's, or refuse it."""
        if role is Role.QUERY:  # is answered while no quorum is there
            near = await self._memory.read(end - time.monotonic(), strong=False)
            if near is not None and probes.are_same(answer.vectors, near):
                self._take(near, stored=False)
                return
        remembered = await self._memory.read(end - time.monotonic(), strong=True)
        if remembered is not None and probes.are_same(answer.vectors, remembered):
            self._take(remembered, stored=True)
            return
        if remembered is not None and not await self._memory.is_empty(end - time.monotonic()):
            raise _changed(answer.model)
        if role is Role.DOCUMENT:
            await self._memory.write(answer.vectors, answer.model, end - time.monotonic())
        self._take(answer.vectors, stored=role is Role.DOCUMENT)

    def _take(self, vectors: Matrix, *, stored: bool) -> None:
        if self._known is not None and not self._is_known(vectors):
            self._formers += 1
            self._cache.clear()
        self._known, self._stored = vectors, stored


def _changed(model: str) -> errors.BadGatewayError:
    named = f" It calls its model {model!r}." if model else ""
    return errors.BadGatewayError(
        "the embedder runs another model than the one that made the index's vectors, so what it embeds can't "
        f"be compared with them.{named} Name an embedder of the index's model, or make a new index"
    )
