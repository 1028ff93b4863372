"""Reads a request's body, never more of it than the limit, and not for longer than it may take.

Room is reserved for what has come, not for what is announced: an announcement costs its sender nothing.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Mapping
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

    def __call__(self) -> Awaitable[bytes]:
        """Return all of it; RuntimeError where it breaks off."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return its pieces as they come; RuntimeError where it breaks off."""
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
        # The server ends an announced body where its header said, so it can't outgrow the limit.
        if announced is not None and incoming.is_here:
            if not room.has(announced):
                await room.reserve(announced)
            body = await incoming()  # no time passes, so none is kept: it would cost more than the reading
        else:
            body = await _collect(incoming, room, limit, seconds)
    except RuntimeError:
        raise errors.InvalidArgumentError("the body broke off") from None
    if announced is not None and len(body) != announced:
        raise errors.InvalidArgumentError("the body broke off")
    return body


async def _collect(incoming: Incoming, room: Room, limit: int, seconds: float) -> bytes:
    kept, size = io.BytesIO(), 0  # not a list: of a body in tiny pieces that has forty times its size
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(began + min(GRACE_SECONDS, seconds)) as end:
            async for piece in incoming:
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                if not room.has(size):
                    await room.reserve(size)
                kept.write(piece)
                end.reschedule(began + min(GRACE_SECONDS + size / LEAST_PACE, seconds))
    except TimeoutError:
        if GRACE_SECONDS + size / LEAST_PACE < seconds:
            raise errors.BodyTimeoutError(
                f"the body came slower than at {LEAST_PACE} bytes a second after {GRACE_SECONDS:g} s"
            ) from None
        raise errors.BodyTimeoutError(f"the body did not arrive within {seconds:g} s") from None
    return kept.getvalue()


def _too_large(limit: int) -> errors.BodyTooLargeError:
    return errors.BodyTooLargeError(
        f"the body is longer than {limit} bytes, the limit here; send less at a time"
    )
