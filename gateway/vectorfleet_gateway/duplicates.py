"""Finds a field that one JSON object names twice, which decoders silently resolve by taking the last. Pure.

Two readers of such an object may disagree on what it says, so it is refused. Looking at every object again
would cost as much as decoding; counting colons nearly always proves that there is nothing to look for.

Outside of strings, JSON has one colon for each field. So a body has at least as many as its decoded value has
fields, and one more for each field that was dropped for its repetition: where it has as many, none was.
Where it has more, those inside of strings may account for them, unless some were written as escapes.
"""

import functools
import itertools
import json
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

_FEW = 16
_COLON = ord(":")
_PIECE = 256 * 1024
"""Bytes that are compared at a time: what comes of that takes as many."""
_PLAIN = {str, int, float, bool, type(None)}
"""What has no fields."""


class _RepeatedError(Exception):
    pass


def find(body: bytes, decoded: object) -> str | None:
    """Return a field that some object of the body names twice, or None.

    Args:
        body: valid JSON.
        decoded: what msgspec made of it.

    Raises:
        RecursionError: it is nested too deeply to be looked through.
    """
    fields = _fields(decoded)
    if _has_colons(body, fields):
        return None
    # A backslash is looked for first, since a single byte is found many times faster than a word.
    if not (b"\\" in body and b"\\u003" in body) and _count(body) == fields + _colons(decoded):
        return None
    try:
        json.loads(body, object_pairs_hook=_unique, parse_float=_no_number, parse_int=_no_number)
    except _RepeatedError as error:
        return str(error)
    return None


def _has_colons(body: bytes, number: int) -> bool:
    """Return whether a body has so many colons; to look for each of a few is quicker than to count."""
    if number > _FEW:
        return _count(body) == number
    place = -1
    for _ in range(number):
        place = body.find(b":", place + 1)
        if place < 0:
            return False
    return body.find(b":", place + 1) < 0


def _count(body: bytes) -> int:
    """Return how many colons a body has, in a sixth of the time of `bytes.count`."""
    signs = np.frombuffer(body, np.uint8)
    pieces = range(0, len(signs), _PIECE)
    return sum([int(np.count_nonzero(signs[at : at + _PIECE] == _COLON)) for at in pieces])


def _fields(value: Any) -> int:
    """Return how many fields a decoded value has in all; never more than were written."""
    kind, found = type(value), 0
    given: Iterable[Any]
    if kind is dict:
        found, given = len(value), value.values()
    elif kind is list:
        return _fields_among(value)
    elif issubclass(kind, msgspec.Struct):
        given = [item for item in _fields_of(kind)(value) if item is not UNSET]
        found = len(given)
    else:
        return 0
    for item in given:
        if type(item) not in _PLAIN:
            found += _fields(item)
    return found


def _fields_among(items: Sequence[Any]) -> int:
    """Return how many fields some values have; those of one kind together, in a third of the time."""
    if not items or isinstance(items[0], float):  # a vector's numbers, or what nearly all are
        return 0
    kinds = set(map(type, items))
    if kinds <= _PLAIN:  # nothing to look into, one by one, for what would take seconds of a long list
        return 0
    if len(items) == 1 or len(kinds) > 1:
        return sum(map(_fields, items))
    (kind,) = kinds
    if kind is dict:
        return sum(map(len, items)) + _fields_among(_values_of(items))
    if kind is list:
        return _fields_among(_members_of(items))
    return sum([len(given) + _fields_among(given) for given in _given(kind, items)])


def _colons(decoded: object) -> int:
    """Return how many colons are in the strings of a decoded value."""
    found = 0
    left: list[Sequence[Any]] = [[decoded]]
    while left:
        items = left.pop()
        kinds = set(map(type, items))
        for kind in kinds:
            some: Any = items if len(kinds) == 1 else [one for one in items if type(one) is kind]
            if kind is str:
                found += sum(map(str.count, some, itertools.repeat(":")))
            elif kind is dict:
                left += list(itertools.chain.from_iterable(some)), _values_of(some)
            elif kind is list:
                left.append(_members_of(some))
            elif issubclass(kind, msgspec.Struct):
                left += _given(kind, some)
    return found


def _values_of(some: Sequence[dict[str, Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(map(dict.values, some)))


def _members_of(lists: Sequence[list[Any]]) -> list[Any]:
    """Return what is in some lists; of one that begins with a number, which is a vector, nothing."""
    return list(itertools.chain.from_iterable([one for one in lists if one and type(one[0]) is not float]))


def _given(kind: type[msgspec.Struct], some: Sequence[msgspec.Struct]) -> list[list[Any]]:
    """Return what requests of a kind, or parts of them, were given: a list for each field, where any was."""
    columns = zip(*map(_fields_of(kind), some), strict=True)
    return [given for column in columns if (given := [one for one in column if one is not UNSET])]


@functools.cache
def _fields_of(kind: type[msgspec.Struct]) -> Callable[[msgspec.Struct], tuple[Any, ...]]:
    """Return what gets all fields of a kind of request; one that was not given is UNSET, and nothing else."""
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
