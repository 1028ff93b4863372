"""One service that the index names: a JSON document goes there, its answer's bytes come back.

Each attempt has a time of its own within the caller's; what may pass is tried again after a pause. An answer
is read up to its limit and no further, and a redirect is an error: it could lead anywhere. The key is read
anew for each attempt, so that it rotates without a restart.
"""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpcore

from .. import errors
from . import network, pacing, verdicts

_log = logging.getLogger(__name__)

_MAX_ERROR_BYTES = 16 * 1024
_HEADERS = {
    b"content-type": b"application/json",
    b"accept": b"application/json",
    b"accept-encoding": b"identity",
    b"user-agent": b"vectorfleet-gateway",
}

Observe = Callable[[str, float], None]
"""Told of each attempt: its outcome, and the seconds that it took."""


@dataclass(frozen=True)
class Terms:
    """How a service is asked.

    Attributes:
        name: what errors call it, such as `the embedder`.
        url: base URL, checked by `services.check_url`.
        key_file: holds the key that is sent as a bearer; None where it wants none.
        timeout: seconds of one attempt.
        retries: attempts after the first.
        concurrency: attempts in flight.
        rate: attempts a second; None for any.
        max_bytes: of an answer.
    """

    name: str
    url: str
    key_file: Path | None
    timeout: float
    retries: int
    concurrency: int
    rate: float | None
    max_bytes: int


class _FailedError(Exception):
    def __init__(self, failure: verdicts.Failure) -> None:
        super().__init__(str(failure.error))
        self.failure = failure


class Service:
    """A service behind HTTP. Made inside of the running event loop, or before it runs."""

    def __init__(self, terms: Terms, observe: Observe) -> None:
        self._terms = terms
        self._observe = observe
        self._pool = network.pool(terms.concurrency)
        self._places = asyncio.Semaphore(terms.concurrency)
        self._pace = pacing.Pace(terms.rate)

    async def post(self, path: str, body: bytes, seconds: float) -> bytes:
        """Send JSON and return the answer's body.

        Args:
            path: behind the base URL, such as `/embeddings`.
            body: JSON.
            seconds: that all attempts may take together.

        Raises:
            InvalidArgumentError: the service refuses what is sent.
            ExhaustedError: the service may not be asked so often.
            BadGatewayError, UnavailableError, DeadlineExceededError: it is of no use; the message says how.
        """
        end = time.monotonic() + seconds
        for failures in itertools.count(1):
            try:
                return await self._attempt(path, body, end)
            except _FailedError as failed:
                failure = failed.failure
            pause = pacing.delay_after(failures, failure.retry_after, random.random())  # noqa: S311  # jitter
            if not failure.may_pass or failures > self._terms.retries or time.monotonic() + pause >= end:
                _log.warning(
                    "a service failed",
                    extra={"service": self._terms.name, "outcome": failure.outcome, "attempts": failures},
                )
                raise failure.error
            await asyncio.sleep(pause)
        raise AssertionError  # the count does not end

    async def close(self) -> None:
        """Give the connections back."""
        await self._pool.aclose()

    async def _attempt(self, path: str, body: bytes, end: float) -> bytes:
        await self._await_turn(end)
        try:
            async with asyncio.timeout(max(end - time.monotonic(), 0)):
                await self._places.acquire()
        except TimeoutError:
            raise self._too_much("is asked more than it can answer") from None
        try:
            return await self._timed(path, body, min(self._terms.timeout, end - time.monotonic()))
        finally:
            self._places.release()

    async def _await_turn(self, end: float) -> None:
        if time.monotonic() + self._pace.wait(time.monotonic()) >= end:
            raise self._too_much("may not be asked so often")
        await asyncio.sleep(self._pace.take(time.monotonic()))

    def _too_much(self, what: str) -> _FailedError:
        error = errors.ExhaustedError(f"{self._terms.name} {what}; try again later")
        return _FailedError(verdicts.unusable(error))

    async def _timed(self, path: str, body: bytes, seconds: float) -> bytes:
        started, name = time.perf_counter(), self._terms.name
        try:
            async with asyncio.timeout(max(seconds, 0)):
                answer = await self._exchange(path, body)
        except (TimeoutError, httpcore.TimeoutException):
            failure = verdicts.late(name, seconds)
        except network.ForbiddenAddressError as error:
            failure = verdicts.unusable(errors.BadGatewayError(f"{name}: {error}"))
        except (httpcore.NetworkError, httpcore.ProtocolError):
            failure = verdicts.unreachable(name)
        except _FailedError as failed:
            failure = failed.failure
        else:
            self._observe("ok", time.perf_counter() - started)
            return answer
        self._observe(failure.outcome, time.perf_counter() - started)
        raise _FailedError(failure)

    async def _exchange(self, path: str, body: bytes) -> bytes:
        key = self._key()
        headers = _HEADERS | ({b"authorization": b"Bearer " + key} if key else {})
        url = self._terms.url + path
        async with self._pool.stream("POST", url, headers=list(headers.items()), content=body) as answer:
            fields = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers
            }
            content = await self._read(answer, fields)
        if key:
            content = content.replace(key, b"[the key]")  # some services tell it back, in errors
        failure = verdicts.of_status(self._terms.name, answer.status, fields, content)
        if failure is not None:
            raise _FailedError(failure)
        return content

    async def _read(self, answer: httpcore.Response, fields: dict[str, str]) -> bytes:
        """Return the body; of an error only its beginning."""
        if fields.get("content-encoding", "identity") != "identity":
            raise self._unusable("compresses its answer, which was not asked for")
        limit = self._terms.max_bytes if answer.status == 200 else _MAX_ERROR_BYTES
        pieces, size = [], 0
        async for piece in answer.aiter_stream():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                if answer.status != 200:
                    break
                raise self._unusable(f"answers with more than {limit} bytes")
        return b"".join(pieces)[:limit]

    def _unusable(self, what: str) -> _FailedError:
        return _FailedError(verdicts.unusable(errors.BadGatewayError(f"{self._terms.name} {what}")))

    def _key(self) -> bytes:
        if self._terms.key_file is None:
            return b""
        try:
            key = self._terms.key_file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise self._unusable("needs a key, and the file that holds it can't be read") from None
        if not key or not key.isascii() or not key.isprintable():
            raise self._unusable("needs a key, and its file does not hold one line of printable ASCII")
        return key.encode()
