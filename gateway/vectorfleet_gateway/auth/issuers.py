"""Where an issuer's keys come from: a file, as of a mounted Secret, or an https URL; both are followed.

A file is looked at every two seconds. A URL is asked every five minutes, and within ten seconds after a token
named a key that is not in the set, so that issuers may change their keys at any time. What can't be read, or
holds no key, leaves the last keys in force. A URL is asked as services are: no proxies of the environment, no
redirects, and none of the addresses where no service may be.
"""

import asyncio
import logging
import time
import urllib.parse
from pathlib import Path

import httpcore

from vectorfleet_runtime import credentials

from .. import errors
from ..outbound import network
from . import bearers

_log = logging.getLogger(__name__)

FILE_SECONDS = 2.0
URL_SECONDS = 300.0
MISSED_SECONDS = 10.0
MAX_BYTES = 1024 * 1024
SECONDS = 5.0
"""That an answer may take, whole."""
_HEADERS = [(b"accept-encoding", b"identity")]
_FAILURES = (
    OSError,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    network.ForbiddenAddressError,
    bearers.Unusable,
)


class Issuer:
    """One issuer, and the bearers that have its tokens.

    Args:
        where: a path, or a URL.
        holders: told of its keys.

    Raises:
        SettingsError: the file can't be read, or is no set of keys; the URL is none to trust.
    """

    def __init__(self, where: str, holders: bearers.Bearers) -> None:
        self._where, self._holders = where, holders
        self._url = where if "://" in where else ""
        self._seen, self._asked, self._complaint = b"", 0.0, ""
        if self._url:
            check_url(self._url)
        else:
            try:
                self._take(Path(where).read_bytes())
            except (OSError, bearers.Unusable) as error:
                raise errors.SettingsError(f"the keys of tokens: can't use {where}: {error}") from None

    async def follow(self) -> None:
        """Keep up with the issuer's keys, for ever."""
        while True:
            if self._is_due(time.monotonic()):
                await self.refresh()
            await asyncio.sleep(min(FILE_SECONDS, MISSED_SECONDS))

    async def refresh(self) -> None:
        """Read the keys anew; where they can't be had, the last ones stay."""
        self._asked = time.monotonic()
        try:
            content = await self._fetch() if self._url else Path(self._where).read_bytes()  # noqa: ASYNC240
            self._take(content)
        except _FAILURES as error:
            said = str(error) or type(error).__name__
            if said != self._complaint:
                extra = {"where": self._where, "why": said}
                _log.warning("can't read the issuer's keys; keeping the last ones", extra=extra)
            self._complaint = said
        else:
            self._complaint = ""

    def _is_due(self, now: float) -> bool:
        if not self._url:
            return True
        pause = MISSED_SECONDS if self._holders.missed or not self._seen else URL_SECONDS
        return now - self._asked >= pause or not self._asked

    def _take(self, content: bytes) -> None:
        self._holders.missed = False
        if content == self._seen:
            return
        keys = bearers.parse_keys(content)
        self._holders.replace(keys)
        self._seen = content
        _log.info("the issuer's keys changed", extra={"keys": sorted(keys)})

    async def _fetch(self) -> bytes:
        try:
            async with asyncio.timeout(SECONDS), network.pool(1) as pool:
                return await self._read(pool)
        except (TimeoutError, httpcore.TimeoutException):
            raise bearers.Unusable(f"it did not answer within {SECONDS:g} s") from None

    async def _read(self, pool: httpcore.AsyncConnectionPool) -> bytes:
        pieces, size = [], 0
        async with pool.stream("GET", self._url, headers=_HEADERS) as answer:
            if answer.status != 200:
                raise bearers.Unusable(f"it answers HTTP {answer.status}")
            async for piece in answer.aiter_stream():
                size += len(piece)
                if size > MAX_BYTES:
                    raise bearers.Unusable(f"it is longer than {MAX_BYTES} bytes")
                pieces.append(piece)
        return b"".join(pieces)


def check_url(url: str) -> None:
    """Refuse a URL by which somebody on the way could slip in keys of their own. Pure.

    Raises:
        SettingsError: it is neither https nor on this machine.
    """
    parts = urllib.parse.urlsplit(url)
    ours = parts.scheme == "http" and credentials.is_loopback(parts.hostname or "")
    if not (parts.scheme == "https" and parts.hostname) and not ours:
        raise errors.SettingsError(f"the keys of tokens: {url} is neither a file nor an https URL")
