"""One request and the way to answer it."""

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

from . import bodies, heads, messages


class Way(Protocol):
    """Where answers go."""

    def send(self, exchange: "Exchange", answer: bytes) -> None:
        """Send the answer of an exchange."""

    def drained(self) -> Awaitable[None]:
        """Wait until what was sent has gone, or its caller has."""


class Exchange:
    """One request; see `app.Exchange`.

    Attributes:
        head: of the request.
        body: of the request.
        last: whether the connection ends with it.
    """

    __slots__ = ("_way", "body", "head", "last")

    def __init__(self, head: heads.Head, body: bodies.Body, way: Way) -> None:
        self.head = head
        self.body = body
        self.last = False
        self._way = way

    @property
    def is_here(self) -> bool:
        """Whether the whole body is."""
        return self.body.complete

    def __call__(self) -> Awaitable[bytes]:
        """Return all of the body.

        Raises:
            RuntimeError: it broke off.
        """
        return self.body.whole()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the body's pieces as they come; RuntimeError where it breaks off."""
        return self.body.pieces()

    def drained(self) -> Awaitable[None]:
        """Wait until the kernel has what was answered, or the caller is gone."""
        return self._way.drained()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send the answer."""
        if not self.body.complete:
            self.last = True  # where the next request would begin is not known
        if ("connection", "close") in headers:
            self.last = True
        elif self.last:
            headers = [*headers, ("connection", "close")]
        silent = self.head.method == "HEAD"
        self._way.send(self, messages.answer(status, headers, body, silent=silent))
