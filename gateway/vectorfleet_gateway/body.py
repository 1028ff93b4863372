"""Reads a request's body, never more of it than the limit, and not for longer than it may take."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Protocol

from . import errors

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


async def read(announced: int | None, incoming: Incoming, limit: int, seconds: float) -> bytes:
    """Return the body, of a length that `check_announced` gave.

    Raises:
        BodyTooLargeError: it was not announced, and is longer than `limit` bytes; the rest stays unread.
        BodyTimeoutError: it took longer than `seconds` to arrive.
        InvalidArgumentError: it broke off.
    """
    try:
        # The server ends an announced body where its header said, so it can't outgrow the limit.
        if announced is not None and incoming.is_here:
            body = await incoming()  # no time passes, so none is kept: it would cost more than the reading
        else:
            async with asyncio.timeout(seconds):
                body = await (incoming() if announced is not None else _collect(incoming, limit))
    except TimeoutError:
        raise errors.BodyTimeoutError(f"the body did not arrive within {seconds:g} s") from None
    except RuntimeError:
        raise errors.InvalidArgumentError("the body broke off") from None
    if announced is not None and len(body) != announced:
        raise errors.InvalidArgumentError("the body broke off")
    return body


async def _collect(incoming: Incoming, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in incoming:
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(limit: int) -> errors.BodyTooLargeError:
    return errors.BodyTooLargeError(f"the body is longer than {limit} bytes, the limit; send smaller batches")
