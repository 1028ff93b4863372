"""Who is let in under load: so many requests at a time, and so many bytes of their bodies.

Beyond that a caller is told at once to come again, before memory or the others' time is gone. One key has
half of either at most, so that others get in whatever it does. Whoever has no valid key does not get this
far, and can't fill the house.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from . import errors, metrics

RETRY_SECONDS = 1.0
"""When to come again; about as long as a full house takes to empty."""
WAIT_SECONDS = 1.0
"""How long a body waits for others to be done with theirs."""


class _Guest:
    """What the holder of one key has in the house."""

    __slots__ = ("bytes", "name", "requests")

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests = self.bytes = 0


@dataclass(slots=True, eq=False)
class _Waiting:
    """Somebody who waits for room."""

    amount: int
    guest: _Guest
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class House:
    """The requests that are under way.

    Args:
        requests: the most at a time.
        bytes_: the most that their bodies have together.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._most = requests
        self._most_of_one = _half(requests)
        self._inside = 0
        self._size = self._free = bytes_
        self._size_of_one = _half(bytes_)
        self._guests: dict[str, _Guest] = {}
        self._waiting: deque[_Waiting] = deque()
        metrics.BODY_BYTES.set_function(lambda: self._size - self._free)

    def enter(self, name: str) -> "Stay":
        """Let a request of a key in, by the key's name; it has to `leave`.

        Raises:
            ThrottledError: there are as many as may be, or as many of this key.
        """
        guest = self._guests.get(name)
        if self._inside >= self._most:
            raise _full(f"the gateway has {self._most} requests under way, the most it takes", "requests")
        if guest is None:
            guest = self._guests[name] = _Guest(name)
        elif guest.requests >= self._most_of_one:
            said = f"this key has {guest.requests} requests under way, the most that one key may"
            raise _full(said, "requests")
        self._inside += 1
        guest.requests += 1
        return Stay(self, guest)

    def leave(self, guest: _Guest, held: int) -> None:
        """Let a request go, and what it held."""
        self._inside -= 1
        guest.requests -= 1
        if held:
            guest.bytes -= held
            self._free += held
            self._grant()
        if not guest.requests:
            del self._guests[guest.name]

    def try_take(self, guest: _Guest, amount: int) -> bool:
        """Set bytes aside where there is room; return whether there is, and nobody waits for it."""
        if self._waiting or not self._has_room(guest, amount):
            return False
        self._free -= amount
        guest.bytes += amount
        return True

    async def take(self, guest: _Guest, amount: int, held: int) -> int:
        """Set more bytes aside for a body that has some; return how many.

        Where a key has one body alone, that may come in however long it is: no more is counted of it than a
        key may have.

        Raises:
            ThrottledError: others' bodies had not gone in time.
        """
        if guest.bytes == held:
            amount = min(amount, self._size_of_one - held)
        if not self.try_take(guest, amount):
            await self._wait(_Waiting(amount, guest))
        return amount

    def _has_room(self, guest: _Guest, amount: int) -> bool:
        return amount <= self._free and guest.bytes + amount <= self._size_of_one

    async def _wait(self, asked: _Waiting) -> None:
        self._waiting.append(asked)
        self._grant()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await asked.turn
        except BaseException as error:
            if asked.turn.done() and not asked.turn.cancelled():  # granted in the same moment
                asked.guest.bytes -= asked.amount
                self._free += asked.amount
            elif asked in self._waiting:
                self._waiting.remove(asked)
            self._grant()
            if not isinstance(error, TimeoutError):
                raise
            raise _full(self._why(asked), "bodies") from None

    def _why(self, asked: _Waiting) -> str:
        if asked.guest.bytes + asked.amount > self._size_of_one:
            own = asked.guest.bytes
            return f"this key's requests hold {own} bytes, and may hold {self._size_of_one} together"
        return f"the gateway holds {self._size} bytes of other requests, the most it takes"

    def _grant(self) -> None:
        """Let in who waits, in the order in which they came; whose key has its share holds up nobody."""
        if not self._waiting:
            return
        left: deque[_Waiting] = deque()
        while self._waiting:
            asked = self._waiting.popleft()
            if asked.turn.done():  # its own time was up in the same moment
                continue
            if self._has_room(asked.guest, asked.amount):
                self._free -= asked.amount
                asked.guest.bytes += asked.amount
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
        guest: whose it is.
    """

    __slots__ = ("_guest", "_held", "_house")

    def __init__(self, house: House, guest: _Guest) -> None:
        self._house = house
        self._guest = guest
        self._held = 0

    def has(self, size: int) -> bool:
        """Have room for a body of so many bytes in all, if that is there without waiting."""
        more = size - self._held
        if more > 0:
            if not self._house.try_take(self._guest, more):
                return False
            self._held = size
        return True

    async def reserve(self, size: int) -> None:
        """Have room for a body of so many bytes in all, of which some may be reserved already.

        Raises:
            ThrottledError: others' bodies had not gone in time.
        """
        if size > self._held:
            self._held += await self._house.take(self._guest, size - self._held, self._held)

    def leave(self) -> None:
        """Go, and give back what was reserved."""
        self._house.leave(self._guest, self._held)


def _half(number: int) -> int:
    return max(1, number // 2)


def _full(said: str, reason: str) -> errors.ThrottledError:
    return errors.ThrottledError(said, RETRY_SECONDS, reason)
