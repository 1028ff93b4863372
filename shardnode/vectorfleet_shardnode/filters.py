"""Pinecone's metadata filter language: parsed once into a frozen tree, evaluated exactly over metadata.

Values compare within their type: 1 is not true, "2004" is not 2004, and 1 equals 1.0. A field that holds a
list passes where any of its elements does. A missing field passes $ne, $nin and {"$exists": false} only.
"""

import dataclasses
import enum
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np

from . import errors
from .arrays import Mask

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_CONDITIONS = 1_000
MAX_LISTED = 10_000

Metadata = dict[str, Any]
Scalar = str | float | bool


class Operator(enum.StrEnum):
    """What a condition asks of a field."""

    EQ = "$eq"
    NE = "$ne"
    GT = "$gt"
    GTE = "$gte"
    LT = "$lt"
    LTE = "$lte"
    IN = "$in"
    NIN = "$nin"
    EXISTS = "$exists"


@dataclasses.dataclass(frozen=True)
class Condition:
    """One operator on one field. `operand` is a scalar, or a set of (type, value) for $in and $nin."""

    field: str
    operator: Operator
    operand: Any


@dataclasses.dataclass(frozen=True)
class AllOf:
    """Passes where every part does."""

    parts: tuple["Node", ...]


@dataclasses.dataclass(frozen=True)
class AnyOf:
    """Passes where at least one part does."""

    parts: tuple["Node", ...]


Node = Condition | AllOf | AnyOf


@dataclasses.dataclass(frozen=True)
class Filter:
    """A parsed filter; two filters of equal `source` pass the same rows."""

    source: bytes
    root: Node = dataclasses.field(compare=False)


def parse(source: bytes) -> Filter | None:
    """Parse a filter's JSON; None where it is empty, so that every row passes.

    Raises:
        BadFilterError: it is not of the language or beyond a limit; the message names field and operator.
    """
    if not source:
        return None
    if len(source) > MAX_BYTES:
        raise errors.BadFilterError(f"the filter has {len(source)} bytes; at most {MAX_BYTES} are possible")
    try:
        document = msgspec.json.decode(source)
    except (msgspec.DecodeError, RecursionError) as broken:
        raise errors.BadFilterError(f"the filter is not JSON: {broken}") from broken
    root = _Parser().node(document, 1)
    return None if root == AllOf(()) else Filter(source, root)


def mask(wanted: Filter, rows: Iterable[Metadata | None]) -> Mask:
    """Return one boolean for each row's metadata: whether it passes."""
    test = _compile(wanted.root)
    return np.fromiter((test(row or {}) for row in rows), np.bool_)


class _Parser:
    """Checks and builds the tree, counting conditions over all of it."""

    def __init__(self) -> None:
        self._conditions = 0

    def node(self, document: Any, depth: int) -> Node:
        if not isinstance(document, dict):
            raise errors.BadFilterError(f"a filter is a JSON object; this is {_kind(document)}")
        if depth > MAX_DEPTH:
            raise errors.BadFilterError(f"the filter nests deeper than {MAX_DEPTH} levels")
        parts = [part for name, value in document.items() for part in self._member(name, value, depth)]
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _member(self, name: str, value: Any, depth: int) -> list[Node]:
        if name in ("$and", "$or"):
            if not isinstance(value, list) or not value:
                raise errors.BadFilterError(
                    f"{name} takes a list of one or more filters; this is {_kind(value)}"
                )
            parts = tuple(self.node(part, depth + 1) for part in value)
            return [AllOf(parts) if name == "$and" else AnyOf(parts)]
        if name.startswith("$"):
            raise errors.BadFilterError(f"{name} stands where a field, $and or $or should")
        if not isinstance(value, dict):
            return [self._condition(name, Operator.EQ, value)]
        if not value:
            raise errors.BadFilterError(f'field "{name}" has no operator; write {{"$eq": value}} for example')
        return [self._condition(name, operator, operand) for operator, operand in value.items()]

    def _condition(self, field: str, name: str, operand: Any) -> Condition:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise errors.BadFilterError(f"the filter has more than {MAX_CONDITIONS} conditions")
        if name not in _CHECKS:
            known = ", ".join(_CHECKS)
            raise errors.BadFilterError(f'field "{field}": {name} is no operator; these are: {known}')
        operator = Operator(name)
        wanted, check = _CHECKS[operator]
        if not check(operand):
            raise errors.BadFilterError(f'field "{field}": {name} takes {wanted}; this is {_kind(operand)}')
        if operator in (Operator.IN, Operator.NIN):
            operand = frozenset(_typed(value) for value in operand)
        return Condition(field, operator, operand)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)  # bool is an int


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_LISTED and all(map(_is_scalar, value))


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


_SCALAR = ("a string, number or boolean", _is_scalar)
_NUMBER = ("a number", _is_number)
_LIST = (f"a list of at most {MAX_LISTED} strings, numbers and booleans", _is_list)
_CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    Operator.EQ: _SCALAR,
    Operator.NE: _SCALAR,
    Operator.GT: _NUMBER,
    Operator.GTE: _NUMBER,
    Operator.LT: _NUMBER,
    Operator.LTE: _NUMBER,
    Operator.IN: _LIST,
    Operator.NIN: _LIST,
    Operator.EXISTS: ("true or false", _is_bool),
}
_COMPARE: dict[Operator, Callable[[float, float], bool]] = {
    Operator.GT: lambda value, bound: value > bound,
    Operator.GTE: lambda value, bound: value >= bound,
    Operator.LT: lambda value, bound: value < bound,
    Operator.LTE: lambda value, bound: value <= bound,
}
_NEGATED = {Operator.NE: Operator.EQ, Operator.NIN: Operator.IN}


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _typed(value: Scalar) -> tuple[str, Scalar]:
    """Return a value with its JSON type, so that equal numbers of Python do not mix with booleans."""
    return _kind(value), value


Test = Callable[[Metadata], bool]


def _compile(node: Node) -> Test:
    match node:
        case AllOf(parts):
            every = [_compile(part) for part in parts]
            return lambda row: all(test(row) for test in every)
        case AnyOf(parts):
            some = [_compile(part) for part in parts]
            return lambda row: any(test(row) for test in some)
        case Condition():
            return _compile_condition(node)


def _compile_condition(condition: Condition) -> Test:
    field, operator, operand = condition.field, condition.operator, condition.operand
    if operator is Operator.EXISTS:
        return lambda row: (field in row) is operand
    if operator in _NEGATED:
        passes = _compile_condition(Condition(field, _NEGATED[operator], operand))
        return lambda row: not passes(row)
    holds = _element_test(operator, operand)

    def test(row: Metadata) -> bool:
        value = row.get(field)
        if isinstance(value, list):
            return any(map(holds, value))
        return holds(value)

    return test


def _element_test(operator: Operator, operand: Any) -> Callable[[Any], bool]:
    if operator is Operator.EQ:
        wanted = _typed(operand)
        return lambda value: _is_scalar(value) and _typed(value) == wanted
    if operator is Operator.IN:
        return lambda value: _is_scalar(value) and _typed(value) in operand
    compare = _COMPARE[operator]
    return lambda value: _is_number(value) and compare(value, operand)
