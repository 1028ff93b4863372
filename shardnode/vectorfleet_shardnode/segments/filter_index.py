"""The filter index of one metadata field over rows that never change: for each value, the rows that have it.

Values are sorted within their type, so equality is a binary search and a range one slice. Integers of 64
bits, other numbers, and integers beyond are kept apart, so nothing is rounded; strings are known by a
cryptographic digest of 128 bits. Must answer exactly as `filters.mask` does.
"""

import bisect
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import bits, filters
from ..arrays import Bits

_INT64 = 1 << 63
DIGEST = np.dtype([("high", "<u8"), ("low", "<u8")])

Keys = npt.NDArray[np.int64] | npt.NDArray[np.float64] | npt.NDArray[np.uint64] | Sequence[int]
Rows = npt.NDArray[np.uint32]


@dataclasses.dataclass(frozen=True)
class Postings:
    """Distinct keys in ascending order; those of key i have `rows[offsets[i]:offsets[i + 1]]`."""

    keys: Keys
    offsets: npt.NDArray[np.uint32]
    rows: Rows

    def between(self, start: int, stop: int) -> Rows:
        """Return the rows of the keys from `start` to before `stop`, in no order."""
        return self.rows[self.offsets[start] : self.offsets[max(start, stop)]]


NO_ROWS = np.zeros(0, np.uint32)


def nothing(dtype: str) -> Postings:
    """Return postings without keys."""
    return Postings(np.zeros(0, dtype), np.zeros(1, np.uint32), NO_ROWS)


@dataclasses.dataclass(frozen=True)
class FieldIndex:
    """All values of one field.

    Attributes:
        present: the rows that have the field, whatever its value.
        true: the rows with true.
        false: the rows with false.
        integers: by int64.
        fractions: by float64; none is integral.
        large: by integers that int64 can't hold.
        strings: by the higher half of their digest.
        checks: the lower half of the digest of each of `strings`' keys.
        dates: by instant, of the strings that are dates.
    """

    present: Rows
    true: Rows
    false: Rows
    integers: Postings
    fractions: Postings
    large: Postings
    strings: Postings
    checks: npt.NDArray[np.uint64]
    dates: Postings

    def passing(self, condition: filters.Condition, size: int) -> Bits:
        """Return which of `size` rows pass a condition on this field."""
        if condition.operator in filters.NEGATED:
            same = dataclasses.replace(condition, operator=filters.NEGATED[condition.operator])
            return bits.inverted(self.passing(same, size), size)
        if condition.operator is filters.Operator.EXISTS:
            having = bits.of_rows(self.present, size)
            return having if condition.operand else bits.inverted(having, size)
        return bits.of_rows(_joined(self._found(condition)), size)

    def _found(self, condition: filters.Condition) -> list[Rows]:
        wanted = condition.operator
        if wanted in _RANGES:
            return self._range(wanted, condition.operand, dated=condition.dated)
        listed = condition.operand if wanted is filters.Operator.IN else [condition.operand]
        if condition.dated:
            return _equal(self.dates, list(listed))
        values = [value for _, value in listed] if wanted is filters.Operator.IN else listed
        return self._equal(values)

    def _range(self, wanted: filters.Operator, bound: float, *, dated: bool) -> list[Rows]:
        if dated:
            return [_slice(self.dates, wanted, bound)]
        return [_slice(postings, wanted, bound) for postings in (self.integers, self.fractions, self.large)]

    def _equal(self, values: Iterable[filters.Scalar]) -> list[Rows]:
        found, numbers, texts = [], [], []
        for value in values:
            if isinstance(value, bool):
                found.append(self.true if value else self.false)
            elif isinstance(value, str):
                texts.append(value)
            else:
                numbers.append(canonical(value))
        if texts and len(self.strings.keys):
            found += self._equal_strings(texts)
        if numbers:
            found += _equal(self.integers, [one for one in numbers if fits(one)])
            found += _equal(self.fractions, [one for one in numbers if isinstance(one, float)])
            found += _equal(self.large, [one for one in numbers if isinstance(one, int) and not fits(one)])
        return found

    def _equal_strings(self, texts: Sequence[str]) -> list[Rows]:
        sought = np.frombuffer(b"".join(map(digest, texts)), DIGEST)
        keys = np.asarray(self.strings.keys)
        first = np.searchsorted(keys, sought["high"])
        after = np.searchsorted(keys, sought["high"], side="right")
        return [
            self.strings.between(at, at + 1)
            for start, stop, low in zip(first.tolist(), after.tolist(), sought["low"], strict=True)
            for at in range(start, stop)
            if self.checks[at] == low
        ]


_RANGES = (filters.Operator.GT, filters.Operator.GTE, filters.Operator.LT, filters.Operator.LTE)


EMPTY = FieldIndex(
    present=NO_ROWS,
    true=NO_ROWS,
    false=NO_ROWS,
    integers=nothing("<i8"),
    fractions=nothing("<f8"),
    large=nothing("<i8"),
    strings=nothing("<u8"),
    checks=np.zeros(0, np.uint64),
    dates=nothing("<i8"),
)
"""The index of a field that no row has."""


def digest(text: str) -> bytes:
    """Return the 16 bytes by which a string is known."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def canonical(number: float) -> float:
    """Return an equal number that is an int where one is equal."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def fits(number: float) -> bool:
    """Tell whether a number is an integer of 64 bits."""
    return isinstance(number, int) and -_INT64 <= number < _INT64


def _joined(found: list[Rows]) -> Rows:
    filled = [rows for rows in found if len(rows)]
    if not filled:
        return NO_ROWS
    return filled[0] if len(filled) == 1 else np.concatenate(filled)


def _slice(postings: Postings, wanted: filters.Operator, bound: float) -> Rows:
    """Return the rows of a range."""
    keys = postings.keys
    if not len(keys):
        return NO_ROWS
    at = _place(keys, bound, after=wanted in (filters.Operator.LTE, filters.Operator.GT))
    if wanted in (filters.Operator.LT, filters.Operator.LTE):
        return postings.between(0, at)
    return postings.between(at, len(keys))


def _place(keys: Keys, bound: float, *, after: bool) -> int:
    """Return how many keys are less than a bound, or with `after` not more.

    Python compares whole numbers with fractions exactly. Numpy does not, and is asked where both are alike.
    """
    if isinstance(keys, np.ndarray) and _of_type(keys, bound):
        return int(np.searchsorted(keys, keys.dtype.type(bound), side="right" if after else "left"))
    side = bisect.bisect_right if after else bisect.bisect_left
    return side(keys, bound, key=_exact)


def _of_type(keys: npt.NDArray[Any], bound: float) -> bool:
    return isinstance(bound, float) if keys.dtype.kind == "f" else fits(bound)


def _exact(key: Any) -> Any:
    """Return a key as a number of Python."""
    return key.item() if isinstance(key, np.generic) else key


def _equal(postings: Postings, values: list[Any]) -> list[Rows]:
    keys = postings.keys
    if not values or not len(keys):
        return []
    if not isinstance(keys, np.ndarray):
        places = [bisect.bisect_left(keys, value) for value in values]
    else:
        places = np.searchsorted(keys, np.array(values, keys.dtype)).tolist()
    return [
        postings.between(at, at + 1)
        for at, value in zip(places, values, strict=True)
        if at < len(keys) and keys[at] == value
    ]


def evaluate(node: filters.Node, field: Callable[[str], FieldIndex], size: int) -> Bits:
    """Return which of `size` rows pass a filter's tree; `field` gives a field's index."""
    match node:
        case filters.AllOf(()):
            return bits.every(size)
        case filters.AnyOf(()):
            return bits.none(size)
        case filters.AllOf(parts):
            return functools.reduce(np.bitwise_and, _evaluated(parts, field, size))
        case filters.AnyOf(parts):
            return functools.reduce(np.bitwise_or, _evaluated(parts, field, size))
        case filters.Negation(part):
            return bits.inverted(evaluate(part, field, size), size)
        case filters.Condition():
            return field(node.field).passing(node, size)


def _evaluated(
    parts: Iterable[filters.Node], field: Callable[[str], FieldIndex], size: int
) -> Iterable[Bits]:
    return (evaluate(part, field, size) for part in parts)
