"""Reads a request's body, never more of it than the limit, and not for longer than it may take.

Room is reserved for what has come, not for what is announced: an announcement costs its sender nothing.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from . import errors

GRACE_SECONDS = 10.0
"""For how long a body may be slower than its least pace."""
LEAST_PACE = 8 * 1024
"""Bytes a second that a body has to come at."""

Headers = Mapping[str, str]
"""A request's header fields, names in lower case; of several with one name the first."""


class Incoming(Protocol):
    """A body, of which some may be still to come."""

    @property
    def is_here(self) -> bool:
        """Whether all of it has come already."""
        ...

    @property
    def come(self) -> int:
        """How many bytes of it are there."""
        ...

    def more(self, admits: Callable[[int], bool]) -> Awaitable[None]:
        """Let more come, until all is there or more than is admitted; RuntimeError where it breaks off."""
        ...

    def __call__(self) -> bytes:
        """Return what is there of it."""
        ...


def check_announced(headers: Headers, limit: int) -> int | None:
    """Return the length that the header announces, None where it announces none. Pure.

    Raises:
        BodyTooLargeError: it is longer than `limit` bytes.
        EncodingNotSupportedError: the body is compressed.
    """
    encoding = headers.get("content-encoding") or "identity"
    if encoding.lower() != "identity":
        raise errors.EncodingNotSupportedError(
            f"the body is encoded as {encoding[:32]!r}, which is not supported; send it as it is"
        )
    text = headers.get("content-length")
    if text is None or not text.isdecimal():
        return None
    if int(text) > limit:
        raise _too_large(limit)
    return int(text)


class Room(Protocol):
    """Where bodies are kept."""

    def has(self, size: int) -> bool:
        """Have room for so many bytes in all, if that is there without waiting."""
        ...

    def reserve(self, size: int) -> Awaitable[None]:
        """Have room for so many bytes in all; ThrottledError where there is none."""
        ...


async def read(announced: int | None, incoming: Incoming, room: Room, limit: int, seconds: float) -> bytes:
    """Return the body, of a length that `check_announced` gave.

    Raises:
        BodyTooLargeError: it was not announced, and is longer than `limit` bytes; the rest stays unread.
        BodyTimeoutError: it took longer than `seconds` to arrive, or came more slowly than at the least pace.
        InvalidArgumentError: it broke off.
        ThrottledError: there was no room for it.
    """
    try:
        if announced is not None and incoming.is_here:  # no time passes, so none is kept
            if not room.has(announced):
                await room.reserve(announced)
        else:
            await _collect(incoming, room, limit, seconds)
    except RuntimeError:
        raise errors.InvalidArgumentError("the body broke off") from None
    body = incoming()
    if announced is not None and len(body) != announced:
        raise errors.InvalidArgumentError("the body broke off")
    return body


async def _collect(incoming: Incoming, room: Room, limit: int, seconds: float) -> None:
    """Let a body come, as fast as it has to."""
    clock = asyncio.get_running_loop().time
    began = clock()

    def admits(size: int) -> bool:
        return size <= limit and room.has(size)

    while True:
        # What came meanwhile gives it more time; that is looked at where its time seems to be up.
        end = began + min(GRACE_SECONDS + incoming.come / LEAST_PACE, seconds)
        if end <= clock():
            raise _late(incoming.come, seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                # For what has come there is room before more of it may come.
                if incoming.come > limit:
                    raise _too_large(limit)
                if not room.has(incoming.come):
                    await room.reserve(incoming.come)
                if incoming.is_here:
                    return
                await incoming.more(admits)


def _late(size: int, seconds: float) -> errors.BodyTimeoutError:
    if GRACE_SECONDS + size / LEAST_PACE < seconds:
        return errors.BodyTimeoutError(
            f"the body came slower than at {LEAST_PACE} bytes a second after {GRACE_SECONDS:g} s"
        )
    return errors.BodyTimeoutError(f"the body did not arrive within {seconds:g} s")


def _too_large(limit: int) -> errors.BodyTooLargeError:
    return errors.BodyTooLargeError(
        f"the body is longer than {limit} bytes, the limit here; send less at a time"
    )
