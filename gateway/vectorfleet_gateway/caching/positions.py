"""Where the shards stand: asked of all of them at once, and once for all who ask at the same time.

Who comes while the shards are being asked waits for the next time: an answer that was under way before says
nothing of writes that were acknowledged since.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

Position = tuple[int, int]
"""Epoch and seq; it only grows."""
Ask = Callable[[float], Awaitable[Mapping[int, Position]]]
"""Asks each shard, within so many seconds."""


class Positions:
    """The shards' positions.

    Args:
        ask: asks for them.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._next: asyncio.Task[Mapping[int, Position]] | None = None
        self._current: asyncio.Task[Mapping[int, Position]] | None = None

    async def now(self, seconds: float) -> Mapping[int, Position]:
        """Return positions that the shards had after this was called."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._current, seconds))
        # Shielded: one who gives up does not end it for the others.
        return await asyncio.shield(self._next)

    async def _after(
        self, earlier: "asyncio.Task[Mapping[int, Position]] | None", seconds: float
    ) -> Mapping[int, Position]:
        if earlier is not None:
            await asyncio.wait({earlier})
        self._current, self._next = self._next, None
        return await self._ask(seconds)
