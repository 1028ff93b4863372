"""One caller's connection: requests one after the other, each answered before the next is begun.

It is over after a request that could not be made out, was not read to its end, or asked for that; whoever is
still sending then is listened to for a moment, or the answer would be lost with what nobody read.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httptools

from . import bodies, bounds, exchanges, heads, messages

_log = logging.getLogger(__name__)

Answer = Callable[[exchanges.Exchange], Awaitable[None]]
_CHUNK_BYTES = 32
"""Of a piece's length line and its end; what comes beside pieces is bounded like a head."""

_LOOK_SECONDS = 1.0
"""How often it is looked at how much of an answer was taken."""


class Connection(asyncio.Protocol):
    """One connection; see `asyncio.Protocol`.

    Args:
        answer: answers a request.
        limits: of it.
        lost: called once it is gone.

    Attributes:
        deadline: of the loop's clock, at which it is closed, or looked at how an answer is taken; infinite
            while a request is under way.
    """

    def __init__(self, answer: Answer, limits: bounds.Bounds, lost: Callable[["Connection"], None]) -> None:
        self._answer = answer
        self._limits = limits
        self._tell_lost = lost
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._secure = False
        # What is being read.
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._in_head = False
        self._beside = 0  # bytes of a head, or of what stands around a body's pieces
        self._receiving: exchanges.Exchange | None = None
        self._to_come = 0  # bytes of its body that are not shown to the parser, which would copy each
        # What is being answered.
        self._answering: exchanges.Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[exchanges.Exchange] = deque()
        self._draining: asyncio.Future[None] | None = None
        self._left: tuple[int, float] | None = None  # of what was answered, bytes and when they were so many
        self._refusal = b""
        self._deaf = self._held = self._stalled = self._ended = self._over = self._lost = False
        self._has_asked = False
        self.deadline = self._loop.time() + limits.idle_seconds

    @property
    def is_lost(self) -> bool:
        """Whether it is gone."""
        return self._lost

    @property
    def idleness(self) -> tuple[bool, float] | None:
        """What orders connections that may go for others, least first; None where it is at work.

        Those between requests come before those in a head, and of either the one whose time is up first.
        """
        if self._answering is not None or self._stalled:
            return None
        return self._in_head, self.deadline

    def end(self, settled: float) -> None:
        """Close it where no request is under way; who has just come may ask until that time of the loop's."""
        if self._answering is None and not self._in_head:
            self.deadline = settled
            if self._has_asked:
                self.close()

    def close(self) -> None:
        """Close it once what was answered is sent."""
        if not self._lost:
            self._transport.close()

    def abort(self) -> None:
        """Close it now."""
        if not self._lost:
            self._transport.abort()

    def expire(self) -> None:
        """Close it because its time is up."""
        if self._stalled:
            self._look_at_pace()
        elif self._transport.is_closing():  # it was told before; what is left is little, and is not taken
            self.abort()
        elif self._in_head and not self._deaf:
            self._refuse(heads.RefusedError(heads.TIMEOUT, "the request's head did not arrive in time"))
        else:
            self.close()

    # ------------------------------------------------------------------------------ the transport's

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._secure = transport.get_extra_info("sslcontext") is not None

    def data_received(self, data: bytes) -> None:
        """Take in what the caller sent."""
        if self._to_come and not self._deaf:
            data = self._take(data)
        if self._deaf or not data:
            return
        begun = self._in_head or self._receiving is not None
        if begun:
            self._beside += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # what comes next could be of another protocol
        except httptools.HttpParserError as error:
            if not self._deaf:
                self._refuse(_reason(error))
        receiving = self._receiving
        if (self._in_head or receiving is not None) and not self._deaf:
            self._watch(begun=begun)
        if receiving is not None and receiving.body.length is not None and not self._deaf:
            self._to_come = receiving.body.length - receiving.body.come
        if self._waiting or (receiving is not None and receiving.body.is_full):
            self._hold()

    def _take(self, data: bytes) -> bytes:
        """Take what is of a body whose length is known; return what is behind it."""
        receiving, left = self._receiving, self._to_come
        assert receiving is not None
        self._to_come = max(0, left - len(data))
        receiving.body.feed(data if len(data) <= left else data[:left])
        if not self._to_come:
            self._parser = httptools.HttpRequestParser(self)  # the last one waits for what it was not shown
            self.on_message_complete()
        elif self._waiting or receiving.body.is_full:
            self._hold()
        return data[left:]

    def eof_received(self) -> bool:
        """Take note that the caller sends nothing more; it may still wait for answers."""
        self._ended = self._deaf = True
        self._break_off()
        self._leave()
        return self._answering is not None and not self._secure

    def connection_lost(self, _: Exception | None) -> None:
        """End; a request under way is done, and its answer dropped."""
        self._lost = self._deaf = True
        self._tell_drained()
        self._break_off()
        self._waiting.clear()
        self._leave()
        self.deadline = math.inf
        self._tell_lost(self)

    def pause_writing(self) -> None:
        """Begin no request while its caller takes no answers."""
        self._stalled, self._left, self.deadline = True, None, self._loop.time() + _LOOK_SECONDS

    def resume_writing(self) -> None:
        """Go on."""
        self._stalled = False
        self.deadline = self._loop.time() + self._limits.linger_seconds if self._over else math.inf
        self._tell_drained()
        if self._answering is None:
            self._go_on_answering()

    # --------------------------------------------------------------------------------- the parser's

    def on_message_begin(self) -> None:
        """Begin a head."""
        if len(self._waiting) >= self._limits.waiting:
            raise heads.RefusedError(heads.TOO_MANY, "too many requests wait for their answers")
        self._target, self._fields, self._in_head, self._beside = b"", [], True, 0

    def on_url(self, piece: bytes) -> None:
        """Take a piece of the target."""
        self._target += piece
        if len(self._target) > self._limits.target_bytes:
            most = self._limits.target_bytes
            raise heads.RefusedError(heads.URI_TOO_LONG, f"the target is longer than {most} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; those behind a body say nothing that is listened to."""
        self._fields.append((name, value))
        if len(self._fields) > self._limits.fields:
            most = self._limits.fields
            raise heads.RefusedError(heads.FIELDS_TOO_LARGE, f"the request has more than {most} fields")

    def on_headers_complete(self) -> None:
        """Begin a request: nothing of its body is needed to look at who asks."""
        if sum([len(name) + len(value) for name, value in self._fields]) > self._limits.head_bytes:
            raise self._too_large()
        version = self._parser.get_http_version()
        head = heads.Head(self._parser.get_method(), self._target, self._fields, version)
        body = bodies.Body(self, self._limits.body_bytes_ahead, heads.length_of(head.headers))
        exchange = exchanges.Exchange(head, body, self)
        exchange.last = not self._parser.should_keep_alive() or self._parser.should_upgrade()
        self._in_head, self._receiving, self._fields, self._beside = False, exchange, [], 0
        if self._answering is None and not self._stalled:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)

    def on_chunk_header(self) -> None:
        """Allow for what stands around a piece."""
        self._beside -= _CHUNK_BYTES

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._beside -= len(piece)
        assert self._receiving is not None
        self._receiving.body.feed(piece)

    def on_message_complete(self) -> None:
        """End a request."""
        received, self._receiving = self._receiving, None
        assert received is not None
        received.body.end()
        if received.last:
            self._deaf = True

    # ------------------------------------------------------------------------------------ answering

    def send(self, exchange: exchanges.Exchange, answer: bytes) -> None:
        """Send the answer of an exchange, and go on with the next; see `exchanges.Way`."""
        if exchange is not self._answering:
            return
        self._answering = self._task = None
        if self._lost:
            return
        self._transport.write(answer)
        if exchange.last:
            self._finish(lingers=not exchange.body.complete)
        else:
            self._go_on_answering()

    async def drained(self) -> None:
        """Wait until what was sent has gone, or its caller has; see `exchanges.Way`."""
        if self._stalled and not self._lost:
            self._draining = self._loop.create_future()
            await self._draining

    def _tell_drained(self) -> None:
        if self._draining is not None and not self._draining.done():
            self._draining.set_result(None)

    def _look_at_pace(self) -> None:
        """Cut off who takes what was answered too slowly; who takes it at a pace has as long as it needs."""
        now, left = self._loop.time(), self._transport.get_write_buffer_size()
        if self._left is None:  # only now the kernel has all that it takes by itself
            self._left = left, now
        most, since = self._left
        if now - since > self._limits.answer_grace_seconds + (most - left) / self._limits.answer_pace:
            self.abort()
        self.deadline = now + _LOOK_SECONDS

    def invite(self) -> None:
        """Tell a caller who waits for it to send the body; see `bodies.Tap`."""
        if self._answering is not None and self._answering.head.continues and not self._lost:
            self._answering.head.continues = False
            self._transport.write(messages.CONTINUE)

    def go_on(self) -> None:
        """Read on; see `bodies.Tap`."""
        if self._held and not self._lost:
            self._held = False
            self._transport.resume_reading()

    def _begin(self, exchange: exchanges.Exchange) -> None:
        self._answering, self.deadline, self._has_asked = exchange, math.inf, True
        self._task = self._loop.create_task(self._work(exchange))

    async def _work(self, exchange: exchanges.Exchange) -> None:
        try:
            await self._answer(exchange)
        except Exception:  # noqa: BLE001  # the loop would only say so later
            _log.exception("a request ended without an answer")
        finally:
            if self._answering is exchange:  # nobody will answer it any more
                self._answering = None
                self.abort()

    def _go_on_answering(self) -> None:
        if self._stalled or self._over:
            return
        if self._waiting:
            self._begin(self._waiting.popleft())
        elif self._refusal:
            self._transport.write(self._refusal)
            self._finish(lingers=True)
        elif self._ended:
            self._finish(lingers=False)
        else:
            patience = self._limits.head_seconds if self._in_head else self._limits.idle_seconds
            self.deadline = self._loop.time() + patience
        if not self._waiting:
            self.go_on()

    def _finish(self, *, lingers: bool) -> None:
        """End the connection; with `lingers`, take what is still on its way first."""
        self._over = self._deaf = True
        self._waiting.clear()
        if not lingers or self._ended:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self.deadline = self._loop.time() + self._limits.linger_seconds
        self.go_on()

    # ------------------------------------------------------------------------------------- refusing

    def _watch(self, *, begun: bool) -> None:
        """Bound what came of a request that is not all there, and how long its head takes."""
        if self._beside > self._limits.head_bytes:
            self._refuse(self._too_large())
        elif self._in_head and not begun and self._answering is None:
            self.deadline = self._loop.time() + self._limits.head_seconds

    def _too_large(self) -> heads.RefusedError:
        most = self._limits.head_bytes
        return heads.RefusedError(heads.FIELDS_TOO_LARGE, f"the request's head is longer than {most} bytes")

    def _refuse(self, refused: heads.RefusedError) -> None:
        """Answer what is no request, after those that are; a body that can't be made out breaks off."""
        self._deaf = True
        if self._receiving is not None:
            self._break_off()
            return
        self._in_head = False
        self._refusal = messages.refusal(refused.status, str(refused))
        if self._answering is None and not self._lost:
            self._go_on_answering()

    def _break_off(self) -> None:
        if self._receiving is not None:
            self._receiving.last = True
            self._receiving.body.break_off()

    def _leave(self) -> None:
        """Tell requests that their caller has gone, who may be answered all the same."""
        for exchange in (self._answering, *self._waiting):
            if exchange is not None:
                exchange.leave()

    def _hold(self) -> None:
        if not self._held and not self._lost:
            self._held = True
            self._transport.pause_reading()


def _reason(error: Any) -> heads.RefusedError:
    """Return why something is refused: the parser's own word, or ours from within one of its calls."""
    cause = error.__context__
    if isinstance(cause, heads.RefusedError):
        return cause
    return heads.RefusedError(heads.BAD_REQUEST, f"this is no request of HTTP/1.1: {error}")
