"""Who is let in under load: so many requests at a time, and so many bytes of their bodies, see `room`.

Beyond that a caller is told at once to come again, before memory or the others' time is gone. One key has
half of either at most, so that others get in whatever it does; and writes have three quarters of what there
is, so that reads go on while they wait for a quorum. Whoever has no valid key does not get this far, and
can't fill the house.
"""

from . import metrics, room

WRITES_SHARE = 0.75
"""Of a key's part, and of all there is, how much writes may have."""


class House:
    """The requests that are under way.

    Args:
        requests: the most at a time.
        bytes_: the most that their bodies have together.

    Attributes:
        room: for their bodies.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._most = requests
        self._inside = 0
        self.room = room.Room(bytes_)
        self._of_one = _half(requests), _half(bytes_)
        self._writes_of_one = _of_writes(_half(requests)), _of_writes(_half(bytes_))
        self._writes = room.Share("the gateway's writes", _of_writes(requests), _of_writes(bytes_))
        self._keys: dict[str, tuple[room.Share, room.Share]] = {}  # of each all its requests, and its writes
        metrics.BODY_BYTES.set_function(lambda: self.room.held)

    def enter(self, name: str, *, writes: bool = False) -> "Stay":
        """Let a request of a key in, by the key's name; it has to `leave`.

        Raises:
            ThrottledError: there are as many as may be, or as many of this key, or as many writes.
        """
        if self._inside >= self._most:
            raise room.full(f"the gateway has {self._most} requests under way, the most it takes", "requests")
        all_, own_writes = known = self._keys.get(name) or self._begin()
        shares = (all_, own_writes, self._writes) if writes else (all_,)
        for share in shares:
            if share.requests >= share.most:
                said = f"{share.whose} under way are {share.requests}, the most there may be"
                raise room.full(said, "requests" if share is all_ else "writes")
        self._keys[name] = known
        self._inside += 1
        for share in shares:
            share.requests += 1
        return Stay(self, name, shares)

    def _begin(self) -> tuple[room.Share, room.Share]:
        writes = room.Share("this key's writes", *self._writes_of_one)
        return room.Share("this key's requests", *self._of_one), writes

    def leave(self, name: str, shares: room.Shares, held: int) -> None:
        """Let a request go, and what it held."""
        self._inside -= 1
        for share in shares:
            share.requests -= 1
        if held:
            self.room.give_back(shares, held)
        if not shares[0].requests:
            del self._keys[name]


class Stay:
    """One request that is in the house.

    Args:
        house: where.
        name: of the key.
        shares: that it is in.
    """

    __slots__ = ("_held", "_house", "_name", "_room", "_shares")

    def __init__(self, house: House, name: str, shares: room.Shares) -> None:
        self._house, self._name = house, name
        self._shares, self._room = shares, house.room
        self._held = 0

    def has(self, size: int) -> bool:
        """Have room for a body of so many bytes in all, if that is there without waiting."""
        more = size - self._held
        if more > 0:
            if not self._room.try_take(self._shares, more):
                return False
            self._held = size
        return True

    async def reserve(self, size: int) -> None:
        """Have room for a body of so many bytes in all, of which some may be reserved already.

        Raises:
            ThrottledError: others' bodies had not gone in time.
        """
        if size > self._held:
            self._held += await self._room.take(self._shares, size - self._held, self._held)

    def leave(self) -> None:
        """Go, and give back what was reserved."""
        self._house.leave(self._name, self._shares, self._held)


def _half(number: int) -> int:
    return max(1, number // 2)


def _of_writes(number: int) -> int:
    return max(1, int(number * WRITES_SHARE))
