"""One request and the way to answer it."""

from collections.abc import Awaitable, Callable
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
        left: whether its caller has gone: the connection is lost, or closed from its side, its half at least.
    """

    __slots__ = ("_gives_up", "_way", "body", "head", "last", "left")

    def __init__(self, head: heads.Head, body: bodies.Body, way: Way) -> None:
        self.head = head
        self.body = body
        self.last = self.left = False
        self._gives_up: Callable[[], object] | None = None
        self._way = way

    def leave(self) -> None:
        """Take note that its caller has gone."""
        self.left = True
        if self._gives_up is not None:
            self._gives_up()

    def watch(self, gives_up: Callable[[], object] | None) -> None:
        """Have that called when its caller goes, from now on, or nothing any more."""
        self._gives_up = gives_up

    @property
    def is_here(self) -> bool:
        """Whether the whole body is."""
        return self.body.complete

    @property
    def come(self) -> int:
        """How many bytes of the body are there."""
        return self.body.come

    def more(self, admits: bodies.Admits) -> Awaitable[None]:
        """Let the body come until all of it is there, or more than is admitted; see `bodies.Body.more`."""
        return self.body.more(admits)

    def __call__(self) -> bytes:
        """Return what is there of the body."""
        return self.body.whole()

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
