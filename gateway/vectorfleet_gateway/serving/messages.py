"""Answers as bytes."""

import functools
import http
import time
from collections.abc import Sequence
from email import utils

import msgspec

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CODES = {400: 3, 408: 4, 414: 3, 417: 3, 429: 8, 431: 3, 501: 12, 505: 12}
"""gRPC's numbers, as all answers that are errors have them."""


def answer(status: int, fields: Sequence[tuple[str, str]], body: bytes, *, silent: bool = False) -> bytes:
    """Return an answer.

    Args:
        status: of HTTP.
        fields: of its head, beside date and length.
        body: all of it.
        silent: whether its caller wants the head alone.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
    head = f"{_line(status)}{_date(int(time.time()))}{lines}content-length: {len(body)}\r\n\r\n"
    return head.encode("latin-1", "replace") + (b"" if silent else body)


def refusal(status: int, message: str) -> bytes:
    """Return the answer to what is no request; the last of its connection."""
    told = msgspec.json.encode({"code": _CODES.get(status, 2), "message": message, "details": []})
    return answer(status, (("content-type", "application/json"), ("connection", "close")), told)


@functools.cache
def _line(status: int) -> str:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n"


@functools.lru_cache(1)
def _date(seconds: int) -> str:
    return f"date: {utils.formatdate(seconds, usegmt=True)}\r\n"
