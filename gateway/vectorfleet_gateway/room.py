"""Room for the bytes of bodies and large answers: who finds none waits for a moment, in order.

There is a bound for all together, and one for each share: a key's part, and that of writes.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from . import errors

RETRY_SECONDS = 1.0
"""When to come again; about as long as a full house takes to empty."""
WAIT_SECONDS = 1.0
"""How long a body waits for others to be done with theirs."""


class Share:
    """A part of the house, and what is in it.

    Args:
        whose: it is, as callers are told.
        most: requests in it at a time.
        size: bytes of their bodies together.
    """

    __slots__ = ("bytes", "most", "requests", "size", "whose")

    def __init__(self, whose: str, most: int, size: int) -> None:
        self.whose, self.most, self.size = whose, most, size
        self.requests = self.bytes = 0


Shares = tuple[Share, ...]
"""Those that a request is in: its key's, and as a write those of the key's writes and of all writes."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """Somebody who waits for room."""

    amount: int
    shares: Shares
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Room:
    """All the room there is.

    Args:
        size: of it, in bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._waiting: deque[_Waiting] = deque()

    @property
    def held(self) -> int:
        """Bytes of it that are taken."""
        return self._size - self._free

    def try_take(self, shares: Shares, amount: int) -> bool:
        """Set bytes aside where there is room; return whether there is, and nobody waits for it."""
        if self._waiting or not self._has_room(shares, amount):
            return False
        self._move(shares, amount)
        return True

    async def take(self, shares: Shares, amount: int, held: int) -> int:
        """Set more bytes aside for a body that has some; return how many.

        Where a body is alone in a share, it may come in however long it is: no more is counted of it than
        there is.

        Raises:
            ThrottledError: others' bodies had not gone in time.
        """
        for share in shares:
            if share.bytes == held:
                amount = min(amount, share.size - held)
        if not self.try_take(shares, amount):
            await self._wait(_Waiting(amount, shares))
        return amount

    def give_back(self, shares: Shares, amount: int) -> None:
        """Free what was taken, for who waits."""
        self._move(shares, -amount)
        self._grant()

    def _move(self, shares: Shares, amount: int) -> None:
        self._free -= amount
        for share in shares:
            share.bytes += amount

    def _has_room(self, shares: Shares, amount: int) -> bool:
        if amount > self._free:
            return False
        for share in shares:  # noqa: SIM110 (a generator would cost each request more)
            if share.bytes + amount > share.size:
                return False
        return True

    async def _wait(self, asked: _Waiting) -> None:
        self._waiting.append(asked)
        self._grant()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await asked.turn
        except BaseException as error:
            if asked.turn.done() and not asked.turn.cancelled():  # granted in the same moment
                self._move(asked.shares, -asked.amount)
            elif asked in self._waiting:
                self._waiting.remove(asked)
            self._grant()
            if not isinstance(error, TimeoutError):
                raise
            raise full(self._why(asked), "bodies") from None

    def _why(self, asked: _Waiting) -> str:
        for share in asked.shares:
            if share.bytes + asked.amount > share.size:
                return f"{share.whose} hold {share.bytes} bytes, and may hold {share.size} together"
        return f"the gateway holds {self._size} bytes of other requests, the most it takes"

    def _grant(self) -> None:
        """Let in who waits, in the order in which they came; whose share is full holds up nobody else."""
        if not self._waiting:
            return
        left: deque[_Waiting] = deque()
        while self._waiting:
            asked = self._waiting.popleft()
            if asked.turn.done():  # its own time was up in the same moment
                continue
            if self._has_room(asked.shares, asked.amount):
                self._move(asked.shares, asked.amount)
                asked.turn.set_result(None)
                continue
            left.append(asked)
            if asked.amount > self._free:
                break  # who is smaller does not pass it by
        self._waiting.extendleft(reversed(left))


def full(said: str, reason: str) -> errors.ThrottledError:
    """Return what is told who finds no place; `reason` is one word, for metrics."""
    return errors.ThrottledError(said, RETRY_SECONDS, reason)
