"""What a service's answer means: a success, a failure that may pass, or one that will not. Pure.

A service's own words are told to callers only where they are about the request; where they are about who
asks, they may hold a part of the key.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from .. import errors

MAX_QUOTED = 200
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_ABOUT_THE_REQUEST = frozenset((400, 413, 422))


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed.

    Attributes:
        error: what the caller is told.
        outcome: its kind, for metrics.
        may_pass: whether the same request may succeed in a moment.
        retry_after: seconds that the service asks to wait.
    """

    error: errors.ApiError
    outcome: str
    may_pass: bool
    retry_after: float | None = None


class _Error(msgspec.Struct):
    message: str = ""


class _OpenAi(msgspec.Struct):
    error: _Error | str = ""
    message: str = ""
    detail: str = ""


def of_status(service: str, status: int, headers: Mapping[str, str], body: bytes) -> Failure | None:
    """Return what an answer failed with, None where it is a success.

    Args:
        service: what errors call it, such as `the embedder`.
        status: of HTTP.
        headers: names in lower case.
        body: as much of it as was read.
    """
    if status == 200:
        return None
    if status in _PASSING:
        error = errors.UnavailableError(f"{service} answers HTTP {status}; try again later")
        return Failure(error, str(status), may_pass=True, retry_after=_seconds(headers.get("retry-after")))
    if status in _ABOUT_THE_REQUEST:
        said = _said(body)
        told = f"{service} refuses the text with HTTP {status}" + (f": {said}" if said else "")
        return Failure(errors.InvalidArgumentError(told), str(status), may_pass=False)
    if status in (401, 403):
        message = f"{service} does not take the key that the gateway has for it (HTTP {status})"
    elif 300 <= status < 400:
        message = f"{service} redirects (HTTP {status}), which is not followed; name the final URL"
    else:
        message = f"{service} answers HTTP {status}; look at its URL and its model"
    return Failure(errors.BadGatewayError(message), str(status), may_pass=False)


def unreachable(service: str) -> Failure:
    """Return the failure of a request that did not arrive, or whose answer broke off."""
    error = errors.UnavailableError(f"{service} can't be reached")
    return Failure(error, "unreachable", may_pass=True)


def late(service: str, seconds: float) -> Failure:
    """Return the failure of a request that was not answered in time."""
    error = errors.DeadlineExceededError(f"{service} did not answer within {seconds:.3g} s")
    return Failure(error, "late", may_pass=True)


def unusable(error: errors.ApiError) -> Failure:
    """Return the failure of a request that no repetition helps."""
    return Failure(error, "unusable", may_pass=False)


def _said(body: bytes) -> str:
    try:
        answer = msgspec.json.decode(body, type=_OpenAi)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    inner = answer.error if isinstance(answer.error, str) else answer.error.message
    text = " ".join((inner or answer.message or answer.detail).split())
    return "".join(one for one in text if one.isprintable())[:MAX_QUOTED]


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None  # a date, which clocks that differ would misread
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
