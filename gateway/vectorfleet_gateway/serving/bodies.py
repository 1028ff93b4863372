"""A request's body on its way in: kept until it is asked for, and no more of it than may be kept.

Whoever sends more than is asked for finds its connection not read, so that TCP holds it up.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol


class Tap(Protocol):
    """Where a body comes from."""

    def go_on(self) -> None:
        """Read on."""

    def invite(self) -> None:
        """Tell a caller who waits for it to send the body."""


class Body:
    """One body.

    Args:
        tap: where it comes from.
        ahead: bytes that are kept of it before it is asked for, and between two pieces.
    """

    __slots__ = ("_ahead", "_arrival", "_broken", "_kept", "_pieces", "_tap", "_wanted", "complete")

    def __init__(self, tap: Tap, ahead: int) -> None:
        self._tap = tap
        self._ahead = ahead
        self._pieces: deque[bytes] = deque()
        self._kept = 0
        self._wanted = self._broken = False
        self._arrival: asyncio.Future[None] | None = None
        self.complete = False

    @property
    def is_full(self) -> bool:
        """Whether more of it should not come before it is asked for."""
        return self._kept > self._ahead and not self._wanted

    def feed(self, piece: bytes) -> None:
        """Take a piece that came in."""
        self._pieces.append(piece)
        self._kept += len(piece)
        self._tell()

    def end(self) -> None:
        """Take note that all of it is there."""
        self.complete = True
        self._tell()

    def break_off(self) -> None:
        """Take note that the rest never comes."""
        if not self.complete:
            self._broken = True
            self._tell()

    async def whole(self) -> bytes:
        """Return all of it.

        Raises:
            RuntimeError: it broke off.
        """
        if not self.complete:
            self._wanted = True
            self._ask()
            while not self.complete:
                await self._more()
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Return its pieces as they come.

        Raises:
            RuntimeError: it broke off.
        """
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._kept -= len(piece)
                yield piece
            if self.complete:
                return
            self._ask()
            await self._more()

    def _ask(self) -> None:
        self._tap.invite()
        self._tap.go_on()

    async def _more(self) -> None:
        if self._broken:
            raise RuntimeError("the body broke off")
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    def _tell(self) -> None:
        if self._arrival is not None:
            if not self._arrival.done():
                self._arrival.set_result(None)
            self._arrival = None
