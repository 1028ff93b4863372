"""Who is let in under load: so many requests at a time, and so many bytes of their bodies.

Beyond that a caller is told at once to come again, before memory or the others' time is gone. One key has
half of either at most, so that others get in whatever it does; and writes have three quarters of what there
is, so that reads go on while they wait for a quorum. Whoever has no valid key does not get this far, and
can't fill the house.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from . import errors, metrics

RETRY_SECONDS = 1.0
"""When to come again; about as long as a full house takes to empty."""
WAIT_SECONDS = 1.0
"""How long a body waits for others to be done with theirs."""


WRITES_SHARE = 0.75
"""Of a key's part, and of all there is, how much writes may have."""


class _Share:
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


_Shares = tuple[_Share, ...]
"""Those that a request is in: its key's, and as a write those of the key's writes and of all writes."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """Somebody who waits for room."""

    amount: int
    shares: _Shares
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class House:
    """The requests that are under way.

    Args:
        requests: the most at a time.
        bytes_: the most that their bodies have together.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._most = requests
        self._inside = 0
        self._size = self._free = bytes_
        self._of_one = _half(requests), _half(bytes_)
        self._writes_of_one = _of_writes(_half(requests)), _of_writes(_half(bytes_))
        self._writes = _Share("the gateway's writes", _of_writes(requests), _of_writes(bytes_))
        self._keys: dict[str, tuple[_Share, _Share]] = {}  # of each all its requests, and its writes
        self._waiting: deque[_Waiting] = deque()
        metrics.BODY_BYTES.set_function(lambda: self._size - self._free)

    def enter(self, name: str, *, writes: bool = False) -> "Stay":
        """Let a request of a key in, by the key's name; it has to `leave`.

        Raises:
            ThrottledError: there are as many as may be, or as many of this key, or as many writes.
        """
        if self._inside >= self._most:
            raise _full(f"the gateway has {self._most} requests under way, the most it takes", "requests")
        all_, own_writes = known = self._keys.get(name) or self._begin()
        shares = (all_, own_writes, self._writes) if writes else (all_,)
        for share in shares:
            if share.requests >= share.most:
                said = f"{share.whose} under way are {share.requests}, the most there may be"
                raise _full(said, "requests" if share is all_ else "writes")
        self._keys[name] = known
        self._inside += 1
        for share in shares:
            share.requests += 1
        return Stay(self, name, shares)

    def _begin(self) -> tuple[_Share, _Share]:
        writes = _Share("this key's writes", *self._writes_of_one)
        return _Share("this key's requests", *self._of_one), writes

    def leave(self, name: str, shares: _Shares, held: int) -> None:
        """Let a request go, and what it held."""
        self._inside -= 1
        for share in shares:
            share.requests -= 1
        if held:
            self._move(shares, -held)
            self._grant()
        if not shares[0].requests:
            del self._keys[name]

    def try_take(self, shares: _Shares, amount: int) -> bool:
        """Set bytes aside where there is room; return whether there is, and nobody waits for it."""
        if self._waiting or not self._has_room(shares, amount):
            return False
        self._move(shares, amount)
        return True

    async def take(self, shares: _Shares, amount: int, held: int) -> int:
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

    def _move(self, shares: _Shares, amount: int) -> None:
        self._free -= amount
        for share in shares:
            share.bytes += amount

    def _has_room(self, shares: _Shares, amount: int) -> bool:
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
            raise _full(self._why(asked), "bodies") from None

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


class Stay:
    """One request that is in the house.

    Args:
        house: where.
        name: of the key.
        shares: that it is in.
    """

    __slots__ = ("_held", "_house", "_name", "_shares")

    def __init__(self, house: House, name: str, shares: _Shares) -> None:
        self._house, self._name = house, name
        self._shares = shares
        self._held = 0

    def has(self, size: int) -> bool:
        """Have room for a body of so many bytes in all, if that is there without waiting."""
        more = size - self._held
        if more > 0:
            if not self._house.try_take(self._shares, more):
                return False
            self._held = size
        return True

    async def reserve(self, size: int) -> None:
        """Have room for a body of so many bytes in all, of which some may be reserved already.

        Raises:
            ThrottledError: others' bodies had not gone in time.
        """
        if size > self._held:
            self._held += await self._house.take(self._shares, size - self._held, self._held)

    def leave(self) -> None:
        """Go, and give back what was reserved."""
        self._house.leave(self._name, self._shares, self._held)


def _half(number: int) -> int:
    return max(1, number // 2)


def _of_writes(number: int) -> int:
    return max(1, int(number * WRITES_SHARE))


def _full(said: str, reason: str) -> errors.ThrottledError:
    return errors.ThrottledError(said, RETRY_SECONDS, reason)
