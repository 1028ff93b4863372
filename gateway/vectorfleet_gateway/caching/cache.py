"""The cache of answers of one gateway.

An answer is kept with the position (epoch, seq) at which each shard gave its part. It is given again only
while every shard stands there still, by the word of its primary, which is asked each time: so it holds all
that was acknowledged before, whichever gateway or replica took it. An index may allow answers that are some
seconds old: then the shards are asked no more often, and a write that this gateway has seen ends what it
knows at once. A replica's own answer confirms nothing where there are others: it may lag.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from vectorfleet_shardnode.api import config

from .. import errors, lru, metrics
from . import positions
from .positions import Position

CONFIRM_SECONDS = 1.0
"""How long shards have to say where they stand; a search may be answered meanwhile by whoever is there."""
SILENCE_SECONDS = 2.0
"""For how long nobody asks again after a shard did not say."""
_NEVER = float("-inf")
_ENTRY_BYTES = 600
"""What the cache's own structures take for one answer, measured."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer.

    Attributes:
        body: JSON, without an explanation.
        at: where each shard stood when it gave its part.
        made: when it was asked for; seconds of a clock that never goes back.
        confirmed: when the shards were last known to stand there; minus infinity where they never were.
    """

    body: bytes
    at: Mapping[int, Position]
    made: float
    confirmed: float


class ResultCache:
    """Answers by key.

    Args:
        settings: as the index has it.
        shards: where the shards stand, by their primaries' word.
        replicated: whether a search may be answered by a replica that lags.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        settings: config.ResultCache,
        shards: positions.Positions,
        *,
        replicated: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._shards = shards
        self._clock = clock
        self._replicated = replicated
        self._silent_until = _NEVER
        self._kept: lru.Lru[bytes, Kept] = lru.Lru(settings.max_bytes)
        self._seen: dict[int, Position] = {}

    def now(self) -> float:
        """Return the time, for `put`."""
        return self._clock()

    async def find(self, key: bytes, seconds: float) -> Kept | None:
        """Return an answer that may be given again, None where there is none."""
        kept = self._kept.get(key)
        if kept is not None:
            kept = await self._confirm(key, kept, seconds)
        metrics.CACHED_ANSWERS.labels("miss" if kept is None else "hit").inc()
        return kept

    def put(self, key: bytes, body: bytes, at: Mapping[int, Position], asked: float) -> None:
        """Keep an answer; `asked` is the time before its shards were asked."""
        self.saw(at)
        if self._is_behind(at):
            return
        kept = Kept(body, at, asked, _NEVER if self._replicated else asked)
        self._kept.put(key, kept, len(body) + len(key) + _ENTRY_BYTES)
        metrics.RESULT_CACHE_BYTES.set(self._kept.size)

    def saw(self, at: Mapping[int, Position]) -> None:
        """Take note of where shards stand, as any of their answers tells."""
        for shard, position in at.items():
            if position > self._seen.get(shard, (0, 0)):
                self._seen[shard] = position

    async def _confirm(self, key: bytes, kept: Kept, seconds: float) -> Kept | None:
        now = self._clock()
        if now - kept.made < self._settings.max_age_seconds and not self._is_behind(kept.at):
            if now - kept.confirmed < self._settings.max_stale_seconds:
                return kept
            at = await self._ask(seconds)
            if at is None:
                return None  # whoever can't be asked will say so when it is searched
            self.saw(at)
            if at == kept.at:
                confirmed = replace(kept, confirmed=now)
                self._kept.put(key, confirmed, len(kept.body) + len(key) + _ENTRY_BYTES)
                return confirmed
        self._kept.drop(key)
        metrics.RESULT_CACHE_BYTES.set(self._kept.size)
        return None

    async def _ask(self, seconds: float) -> Mapping[int, Position] | None:
        if self._clock() < self._silent_until:
            return None
        try:
            async with asyncio.timeout(min(seconds, CONFIRM_SECONDS)):
                return await self._shards.now(min(seconds, CONFIRM_SECONDS))
        except (errors.ApiError, TimeoutError):
            self._silent_until = self._clock() + SILENCE_SECONDS
            return None

    def _is_behind(self, at: Mapping[int, Position]) -> bool:
        return any(position < self._seen.get(shard, (0, 0)) for shard, position in at.items())
