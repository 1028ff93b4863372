"""What both clients share around HTTP: the address and the headers, answers, and what errors mean. Pure."""

import math
from collections.abc import Mapping
from typing import TypedDict, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from . import calls, errors, results, version

T = TypeVar("T")

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class HttpSettings(TypedDict):
    """What an httpx client is made with."""

    base_url: str
    headers: dict[str, str]
    limits: httpx.Limits


def settings(host: str, api_key: str) -> HttpSettings:
    """Return the settings of the HTTP client for an index.

    Raises:
        InvalidInputError: the host is no http(s) address, or the key could not be a header. The key is
            never shown.
    """
    parts = urlsplit(host)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise errors.InvalidInputError(
            f"host is the address of the index, such as http://localhost:8080, not {host!r}"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise errors.InvalidInputError("host takes no user, password, query or fragment")
    if not api_key or not api_key.isascii() or not api_key.isprintable() or api_key != api_key.strip():
        raise errors.InvalidInputError(
            "api_key is one or more printable ASCII characters with no space around them"
        )
    headers = {
        "Api-Key": api_key,
        "Accept": "application/json",
        "User-Agent": f"vectorfleet-python/{version.VERSION}",
    }
    # Idle connections are dropped before servers usually do, so that a request rarely meets a closed one.
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=4.0)
    return {"base_url": host.rstrip("/") + "/", "headers": headers, "limits": limits}


class RequestSettings(TypedDict):
    """What an httpx request is made with."""

    method: str
    url: str
    params: tuple[tuple[str, str], ...]
    content: bytes | None
    headers: dict[str, str]
    timeout: httpx.Timeout


def request(call: calls.Call[T], seconds: float, more: Mapping[str, str] | None = None) -> RequestSettings:
    """Return the request of a call that may take so many seconds; connecting may take 5 of them.

    `more` are header fields that go with it.

    The server is told how long it has: nobody waits for what it would do after that.
    """
    headers = {"X-Request-Timeout-Ms": str(max(1, int(seconds * 1000))), **(more or {})}
    return {
        "method": call.method,
        "url": call.path,
        "params": call.params,
        "content": call.content,
        "headers": headers if call.content is None else headers | {"Content-Type": "application/json"},
        "timeout": httpx.Timeout(seconds, connect=min(seconds, 5.0)),
    }


def read(call: calls.Call[T], response: httpx.Response, body: bytes) -> T:
    """Return what an answer says.

    Raises:
        StatusError: it is a refusal.
        ReplyError: it is not the API's.
    """
    if not response.is_success:
        raise _refusal(response, body)
    try:
        return call.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise errors.ReplyError(
            f"the answer of /{call.path} is not Vectorfleet's ({error}); is the host a Vectorfleet gateway?"
        ) from error


def broken(error: httpx.HTTPError, host: str) -> errors.VectorfleetError:
    """Return our error for one of httpx's."""
    sent = not isinstance(error, _NOT_SENT)
    match error:
        case httpx.TimeoutException():
            what = "did not answer in time" if sent else "could not be reached in time"
            return errors.RequestTimeoutError(f"{host} {what}", sent=sent)
        case httpx.TransportError():
            what = "broke the connection" if sent else "can't be reached"
            return errors.ConnectionFailedError(f"{host} {what}: {error or type(error).__name__}", sent=sent)
        case _:
            return errors.ReplyError(f"{host} sent an answer that can't be read: {error}")


def _refusal(response: httpx.Response, body: bytes) -> errors.StatusError:
    status = response.status_code
    try:
        problem = msgspec.json.decode(body, type=results.Problem)
    except (msgspec.MsgspecError, ValueError):
        problem = results.Problem(_excerpt(body) or response.reason_phrase or "no reason given")
    kind = errors.class_of(status)
    retry_after = _seconds(response.headers.get("Retry-After"))
    return kind(status, problem.message, code=problem.code, retry_after=retry_after)


def _excerpt(body: bytes) -> str:
    return " ".join(body[:400].decode("utf-8", "replace").split())[:200]


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None  # a date, which clocks that differ would misread
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
