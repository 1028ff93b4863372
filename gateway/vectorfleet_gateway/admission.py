"""Who is let in under load: so many requests at a time, and so many bytes of their bodies.

Beyond that a caller is told at once to come again, before memory or the others' time is gone. Whoever has no
valid key does not get this far, and can't fill the house.
"""

import asyncio
from collections import deque

from . import errors, metrics

RETRY_SECONDS = 1.0
"""When to come again; about as long as a full house takes to empty."""
WAIT_SECONDS = 1.0
"""How long a body waits for others to be done with theirs."""


class House:
    """The requests that are under way.

    Args:
        requests: the most at a time.
        bytes_: the most that their bodies have together; one alone may always come in.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._most = requests
        self._inside = 0
        self._size = self._free = bytes_
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        metrics.BODY_BYTES.set_function(lambda: self._size - self._free)

    def enter(self) -> None:
        """Let a request in; `leave` has to follow.

        Raises:
            ThrottledError: there are as many as may be.
        """
        if self._inside >= self._most:
            raise errors.ThrottledError(
                f"the gateway has {self._most} requests under way, the most it takes",
                RETRY_SECONDS,
                "requests",
            )
        self._inside += 1

    def leave(self) -> None:
        """Let a request go."""
        self._inside -= 1

    async def take(self, amount: int) -> int:
        """Set bytes aside for a body, in the order in which they are asked for; return what to give back.

        Raises:
            ThrottledError: others' bodies had not gone in time.
        """
        amount = min(amount, self._size)
        if self._waiting or amount > self._free:
            await self._wait(amount)
        else:
            self._free -= amount
        return amount

    def give(self, amount: int) -> None:
        """Give bytes back."""
        self._free += amount
        self._grant()

    async def _wait(self, amount: int) -> None:
        mine = asyncio.get_running_loop().create_future()
        asked = (amount, mine)
        self._waiting.append(asked)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await mine
        except BaseException as error:
            if mine.done() and not mine.cancelled():  # granted in the same moment
                self.give(amount)
            else:
                if asked in self._waiting:
                    self._waiting.remove(asked)
                self._grant()
            if not isinstance(error, TimeoutError):
                raise
            raise errors.ThrottledError(
                f"the gateway holds {self._size} bytes of other requests, the most it takes",
                RETRY_SECONDS,
                "bodies",
            ) from None

    def _grant(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            amount, whose = self._waiting.popleft()
            if not whose.done():  # its own time may be up in the same moment
                self._free -= amount
                whose.set_result(None)
