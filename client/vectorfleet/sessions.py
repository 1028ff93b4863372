"""What a client demands of the states that its reads are answered from, and the ids of its writes.

A shard has several replicas, and a read may be answered by one that lags. `Consistency.SESSION` makes each
read see the client's own writes: it remembers where they stand. `STRONG` makes it see everyone's.
"""

import enum
import secrets
import threading
from collections.abc import Mapping

from . import errors

POSITION_HEADER = "x-vectorfleet-position"
_STALE_HEADER = "x-vectorfleet-maybe-stale"
_AT_LEAST_HEADER = "X-Vectorfleet-At-Least"
_CONSISTENCY_HEADER = "X-Vectorfleet-Consistency"
_WRITE_ID_HEADER = "X-Vectorfleet-Write-Id"


class Consistency(enum.Enum):
    """What a read sees."""

    EVENTUAL = "eventual"
    """What the replica that answers has: usually everything, at times a little less."""
    SESSION = "session"
    """At least what this client wrote before."""
    STRONG = "strong"
    """Everything that was acknowledged to anyone before; each read asks the shards' primaries."""


class Session:
    """The demand of one client, and where its writes stand. For any thread.

    Args:
        consistency: a `Consistency` or its value.

    Raises:
        InvalidInputError: it is neither.

    Attributes:
        stale: shards of which the newest read's answer may be stale.
    """

    def __init__(self, consistency: Consistency | str) -> None:
        self.stale: frozenset[int] = frozenset()
        try:
            self._consistency = Consistency(consistency)
        except ValueError:
            known = ", ".join(one.value for one in Consistency)
            raise errors.InvalidInputError(f"consistency is one of {known}, not {consistency!r}") from None
        self._made: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def headers(self) -> dict[str, str]:
        """Return the headers of a read."""
        match self._consistency:
            case Consistency.STRONG:
                return {_CONSISTENCY_HEADER: "strong"}
            case Consistency.SESSION if self._made:
                with self._lock:
                    made = sorted(self._made.items())
                return {_AT_LEAST_HEADER: ",".join(f"{shard}:{epoch}:{seq}" for shard, (epoch, seq) in made)}
        return {}

    def note(self, headers: Mapping[str, str], *, writes: bool) -> None:
        """Take note of where a write stands, or of how new what was read is, as the answer says."""
        if not writes:
            named = headers.get(_STALE_HEADER)
            self.stale = frozenset(map(int, named.split(","))) if named else frozenset()
        if self._consistency is not Consistency.SESSION:
            return
        for part in filter(None, headers.get(POSITION_HEADER, "").split(",")):
            shard, epoch, seq = part.split(":")
            place = (int(epoch), int(seq))
            with self._lock:
                self._made[shard] = max(place, self._made.get(shard, place))


def write_id() -> dict[str, str]:
    """Return the header that names a write: sent again with it, it is done once."""
    return {_WRITE_ID_HEADER: secrets.token_hex(16)}
