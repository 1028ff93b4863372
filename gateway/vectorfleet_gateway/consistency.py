"""What a request demands of the states that it is answered from, and where its writes stand.

A write's answer names its positions in the header `x-vectorfleet-position`; a read that is sent with them as
`x-vectorfleet-at-least` sees that write, whichever replica answers. `x-vectorfleet-consistency: strong` sees
every write that was acknowledged before. A write that is sent again with the same `x-vectorfleet-write-id` is
done once. The demand is that of the request under way, for all that it asks.
"""

import contextvars
import re
from collections.abc import Iterable, Mapping
from types import TracebackType

import msgspec

from vectorfleet_shardnode.api import shard_pb2

from . import errors

POSITION_HEADER = "x-vectorfleet-position"
AT_LEAST_HEADER = "x-vectorfleet-at-least"
CONSISTENCY_HEADER = "x-vectorfleet-consistency"
WRITE_ID_HEADER = "x-vectorfleet-write-id"
STALE_HEADER = "x-vectorfleet-maybe-stale"
WRITE_ID_BYTES = 16
STRONG, EVENTUAL = "strong", "eventual"
_POSITION = re.compile(r"(\d{1,5}):(\d{1,19}):(\d{1,19})")
_WRITE_ID = re.compile(r"[0-9a-fA-F]{32}")
_MOST_CHARACTERS = 16_384


class Session(msgspec.Struct):
    """One request's demand, and what it wrote.

    Attributes:
        strong: whether reads see every write acknowledged before.
        at_least: by shard, what reads must see.
        write_id: of this request's writes, 16 bytes; the same in each try of it.
        made: by shard, where this request's writes stand.
    """

    strong: bool = False
    at_least: Mapping[int, shard_pb2.Position] = msgspec.field(default_factory=dict)
    write_id: bytes = b""
    made: dict[int, shard_pb2.Position] = msgspec.field(default_factory=dict)

    @property
    def demands(self) -> bool:
        """Whether not just any state will do."""
        return self.strong or bool(self.at_least)

    def note(self, replies: Iterable[shard_pb2.WriteReply]) -> None:
        """Take note of where writes stand."""
        for reply in replies:
            self.made[reply.position.shard] = reply.position

    def headers(self) -> dict[str, str]:
        """Return the header fields that go with the answer."""
        if not self.made:
            return {}
        named = (f"{number}:{one.epoch}:{one.seq}" for number, one in sorted(self.made.items()))
        return {POSITION_HEADER: ",".join(named)}


_current: contextvars.ContextVar[Session | None] = contextvars.ContextVar("session", default=None)


def current() -> Session:
    """Return the session of the request under way; one that demands nothing where there is none."""
    return _current.get() or Session()


class during:  # noqa: N801  # read as a function
    """Make a session that of all that is done meanwhile."""

    __slots__ = ("_session", "_token")

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Session:
        self._token = _current.set(self._session)
        return self._session

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        _current.reset(self._token)


def parse(consistency: str | None, at_least: str | None, write_id: str | None = None) -> Session:
    """Return the session that a request's headers ask for.

    Raises:
        InvalidArgumentError: a header says nothing that is known.
    """
    if consistency is None and at_least is None and write_id is None:
        return Session()
    if consistency not in (None, STRONG, EVENTUAL):
        raise errors.InvalidArgumentError(
            f"{CONSISTENCY_HEADER} is {str(consistency)[:32]!r}; it can be {STRONG} or {EVENTUAL}"
        )
    if write_id is not None and _WRITE_ID.fullmatch(write_id) is None:
        raise errors.InvalidArgumentError(
            f"{WRITE_ID_HEADER} is {write_id[:40]!r}; it can be 32 hexadecimal digits, drawn for each write"
        )
    return Session(consistency == STRONG, _positions(at_least or ""), bytes.fromhex(write_id or ""))


def _positions(text: str) -> dict[int, shard_pb2.Position]:
    if len(text) > _MOST_CHARACTERS:
        raise errors.InvalidArgumentError(f"{AT_LEAST_HEADER} has more than {_MOST_CHARACTERS} characters")
    found: dict[int, shard_pb2.Position] = {}
    for part in text.split(",") if text else ():
        match = _POSITION.fullmatch(part.strip())
        if match is None:
            raise errors.InvalidArgumentError(
                f"{AT_LEAST_HEADER} holds {part[:32]!r}; it can hold what {POSITION_HEADER} of a write's "
                "answer has: shard:epoch:seq, several separated by commas"
            )
        shard, epoch, seq = map(int, match.groups())
        if max(epoch, seq) >= 1 << 63:
            raise errors.InvalidArgumentError(f"{AT_LEAST_HEADER} holds {part[:32]!r}, a number too large")
        if shard not in found or seq > found[shard].seq:  # of several, the last one
            found[shard] = shard_pb2.Position(shard=shard, epoch=epoch, seq=seq)
    return found
