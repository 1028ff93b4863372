"""A request's body on its way in: kept until it is asked for, and no more of it than may be kept.

Whoever sends more than is asked for finds its connection not read, so that TCP holds it up.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

_SMALL = 4096
"""Bytes of a piece that is put to those before it: kept by itself, a tiny one takes forty times its size."""

Admits = Callable[[int], bool]
"""Tells whether there is room for so many bytes in all."""


class Tap(Protocol):
    """Where a body comes from."""

    def go_on(self) -> None:
        """Read on."""

    def invite(self) -> None:
        """Tell a caller who waits for it to send the body."""


class Body:
    """One body.

    Args:
        tap: where it comes from.
        ahead: bytes that are kept of it before it is asked for.
        length: of it, in bytes; None where it was not announced.

    Attributes:
        come: bytes of it that are there.
        complete: whether all of it is.
    """

    __slots__ = ("_admits", "_ahead", "_arrival", "_broken", "_pieces", "_tap", "come", "complete", "length")

    def __init__(self, tap: Tap, ahead: int, length: int | None = None) -> None:
        self._tap = tap
        self._ahead = ahead
        self.length = length
        self._pieces: list[bytes | bytearray] = []
        self._admits: Admits | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._broken = self.complete = False
        self.come = 0

    @property
    def is_full(self) -> bool:
        """Whether more of it should not come before it is asked for."""
        return self._admits is None and self.come > self._ahead

    def feed(self, piece: bytes) -> None:
        """Take a piece that came in."""
        self.come += len(piece)
        if len(piece) > _SMALL or not self._pieces:
            self._pieces.append(piece)
        elif isinstance(last := self._pieces[-1], bytearray):
            last += piece
        else:
            self._pieces.append(bytearray(piece))
        if self._admits is not None and not self._admits(self.come):
            self._admits = None
            self._tell()

    def end(self) -> None:
        """Take note that all of it is there."""
        self.complete = True
        self._tell()

    def break_off(self) -> None:
        """Take note that the rest never comes."""
        if not self.complete:
            self._broken = True
            self._tell()

    def whole(self) -> bytes:
        """Return what is there of it, all of it once it is complete."""
        # An only piece is as it came, and is not copied.
        return b"".join(self._pieces) if len(self._pieces) != 1 else bytes(self._pieces[0])

    async def more(self, admits: Admits) -> None:
        """Let more of it come, until all is there, or more than is admitted: then it is read no further.

        What is there already is taken for admitted: some more is always waited for, unless it is complete.
        It is not told of each piece, for to wake whoever waits costs more than the piece.

        Raises:
            RuntimeError: it broke off.
        """
        if self.complete or self._broken:
            return self._check()
        self._admits = admits
        self._arrival = asyncio.get_running_loop().create_future()
        try:
            self._tap.invite()
            self._tap.go_on()
            await self._arrival
        finally:
            self._admits = self._arrival = None
        return self._check()

    def _check(self) -> None:
        if self._broken:
            raise RuntimeError("the body broke off")

    def _tell(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
