"""Finds a field that one JSON object names twice, which decoders silently resolve by taking the last. Pure.

Two readers of such an object may disagree on what it says, so it is refused. Looking at every object again
would cost as much as decoding; counting colons nearly always proves that there is nothing to look for.
"""

import functools
import itertools
import json
import operator
from collections.abc import Callable
from typing import Any

import msgspec

_FEW = 16
_PLAIN = {int, float, bool, type(None)}
_TEXT = {str}


class _RepeatedError(Exception):
    pass


def find(body: bytes, decoded: object) -> str | None:
    """Return a field that some object of the body names twice, or None.

    Args:
        body: valid JSON.
        decoded: what msgspec made of it.
    """
    # Outside of strings, JSON has one colon for each field. A field that was dropped for its repetition
    # makes the body's colons more than those that the decoded value accounts for, unless some colon of a
    # string was written as an escape.
    # A backslash is looked for first, since a single byte is found many times faster than a word.
    escaped = b"\\" in body and b"\\u003" in body
    if not escaped and _has_colons(body, _colons(decoded)):
        return None
    try:
        json.loads(body, object_pairs_hook=_unique, parse_float=_no_number, parse_int=_no_number)
    except _RepeatedError as error:
        return str(error)
    return None


def _has_colons(body: bytes, number: int) -> bool:
    """Return whether a body has so many colons; to look for each of a few is quicker than to count."""
    if number > _FEW:
        return body.count(b":") == number
    place = -1
    for _ in range(number):
        place = body.find(b":", place + 1)
        if place < 0:
            return False
    return body.find(b":", place + 1) < 0


def _colons(value: Any) -> int:
    """Return how many colons the JSON of a decoded value has: one a field, and those inside of strings."""
    match value:
        case str():
            return str.count(value, ":")
        case dict():
            return sum(1 + _colons(key) + _colons(item) for key, item in value.items())
        case list():
            return 0 if not value or isinstance(value[0], float) else _colons_among(value)
        case msgspec.Struct():
            items = [item for item in _fields_of(type(value))(value) if item is not msgspec.UNSET]
            return len(items) + sum(map(_colons, items))
        case _:
            return 0


def _colons_among(items: list[Any]) -> int:
    kinds = set(map(type, items))
    if kinds <= _PLAIN:  # nothing to look into, one by one, for what would take seconds of a long list
        return 0
    if kinds == _TEXT:
        return sum(map(str.count, items, itertools.repeat(":")))
    return sum(map(_colons, items))


@functools.cache
def _fields_of(kind: type[msgspec.Struct]) -> Callable[[msgspec.Struct], tuple[Any, ...]]:
    """Return what gets all fields of a kind of request: most of many are not there."""
    names = kind.__struct_fields__
    if len(names) == 1:
        (only,) = names
        return lambda value: (getattr(value, only),)
    return operator.attrgetter(*names)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _RepeatedError(name)
        seen.add(name)


def _no_number(_: str) -> None:
    """Skip a number; making it would cost time, and may fail where it is very long."""
