"""A request's head: from what the parser found in it to what the application asks. Pure.

What could be read in two ways is refused, for whoever stands in front of this server might read it in the
other one. The parser refuses two lengths, a length beside chunks, a line that ends in LF alone and a field
that is folded; here the rest is.
"""

import functools
import urllib.parse
from collections.abc import Mapping, Sequence

BAD_REQUEST, TIMEOUT, URI_TOO_LONG, EXPECTATION_FAILED = 400, 408, 414, 417
_REMEMBERED_NAMES = 256
TOO_MANY, FIELDS_TOO_LARGE, NOT_IMPLEMENTED, VERSION = 429, 431, 501, 505


class RefusedError(Exception):
    """A request that is not answered by the application; the connection ends with it.

    Args:
        status: of HTTP.
        message: what is wrong with it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def fields_of(sent: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return header fields by their names in lower case; of several with one name the first."""
    # The first of a name counts, so it is put in last.
    return {_name(name): value.decode("latin-1") for name, value in reversed(sent)}


def length_of(fields: Mapping[str, str]) -> int | None:
    """Return the length of a body that the parser let pass; None where it comes in pieces, or none does."""
    text = fields.get("content-length", "")
    return int(text) if text.isdecimal() else None


@functools.lru_cache(_REMEMBERED_NAMES)
def _name(sent: bytes) -> str:
    return sent.decode("latin-1").lower()


class Head:
    """A request's head; see `app.Scope`.

    Attributes:
        method: as it was sent.
        path: percent-decoded once, as UTF-8.
        query_string: as it was sent, without the question mark.
        headers: its fields.
        continues: whether the caller waits to be told to send its body.
    """

    __slots__ = ("continues", "headers", "method", "path", "query_string")

    def __init__(
        self, method: bytes, target: bytes, sent: Sequence[tuple[bytes, bytes]], version: str
    ) -> None:
        self.method = method.decode("ascii")
        self.path, self.query_string = _split(target)
        self.headers = fields_of(sent)
        _check(sent, self.headers, version)
        self.continues = _continues(self.headers, version)


def _split(target: bytes) -> tuple[str, str]:
    text = target.decode("utf-8", "replace")
    if not text.startswith("/"):
        text = _without_origin(text)
    path, _, query = text.partition("#")[0].partition("?")
    return (urllib.parse.unquote(path) if "%" in path else path), query


def _without_origin(target: str) -> str:
    """Return what stands behind scheme and host, as it is sent to proxies, and may be sent to servers."""
    scheme, found, rest = target.partition("://")
    if not found:
        return target  # of OPTIONS or CONNECT; no route is called so
    if scheme.lower() not in ("http", "https"):
        raise RefusedError(BAD_REQUEST, "the target is of another scheme than http and https")
    at = min((place for mark in "/?#" if (place := rest.find(mark)) >= 0), default=len(rest))
    return rest[at:] if rest[at : at + 1] == "/" else f"/{rest[at:]}"


def _check(sent: Sequence[tuple[bytes, bytes]], fields: Mapping[str, str], version: str) -> None:
    if version not in ("1.0", "1.1"):
        raise RefusedError(VERSION, "HTTP/1.1 is spoken here, and HTTP/1.0")
    hosts = [name.lower() for name, _ in sent].count(b"host")
    if hosts > 1 or (not hosts and version == "1.1"):
        raise RefusedError(BAD_REQUEST, f"the request has {hosts} Host fields; it needs one")
    coding = fields.get("transfer-encoding")
    if coding is not None:
        if version == "1.0":
            raise RefusedError(BAD_REQUEST, "HTTP/1.0 knows no Transfer-Encoding")
        if coding.strip().lower() != "chunked":
            raise RefusedError(NOT_IMPLEMENTED, "the only Transfer-Encoding that is taken is chunked")


def _continues(fields: Mapping[str, str], version: str) -> bool:
    expected = fields.get("expect")
    if expected is None or version == "1.0":
        return False
    if expected.strip().lower() != "100-continue":
        raise RefusedError(EXPECTATION_FAILED, "the only expectation that is met is 100-continue")
    return True
