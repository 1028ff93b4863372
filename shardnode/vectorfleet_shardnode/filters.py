"""Pinecone's metadata filter language: parsed once into a frozen tree, evaluated exactly over metadata.

Values compare within their type: 1 is not true, "2004" is not 2004, and 1 equals 1.0. A field that holds a
list passes where any of its elements does. A missing field passes $ne, $nin, $not of what it does not pass,
and {"$exists": false}. Fields that are declared datetime compare points in time, see `instants`. What a field
is compared with must be of the type that it is declared with, since nothing else can ever pass.
"""

import dataclasses
import enum
import functools
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np

from . import errors
from .api import config, field_types, instants
from .arrays import Mask

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_CONDITIONS = 1_000
_OF_GROUPS = 2  # more, which a gateway adds to find groups
MAX_LISTED = 10_000
NOT = "$not"
_REMEMBERED, _REMEMBERED_BYTES = 128, 64 << 10  # filters that are not parsed anew, if they are no longer

Metadata = dict[str, Any]
Scalar = str | float | bool
Types = frozenset[tuple[str, config.FieldType]]
"""The fields that are declared, each with its type."""


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
    """One operator on one field. `operand` is a scalar, or a set of (type, value) for $in and $nin.

    Where it is `dated` it compares points in time: `operand` is an instant, or a set of instants.
    """

    field: str
    operator: Operator
    operand: Any
    dated: bool = False


@dataclasses.dataclass(frozen=True)
class AllOf:
    """Passes where every part does."""

    parts: tuple["Node", ...]


@dataclasses.dataclass(frozen=True)
class AnyOf:
    """Passes where at least one part does."""

    parts: tuple["Node", ...]


@dataclasses.dataclass(frozen=True)
class Negation:
    """Passes where its part does not."""

    part: "Node"


Node = Condition | AllOf | AnyOf | Negation


@dataclasses.dataclass(frozen=True)
class Filter:
    """A parsed filter; two of equal `source` and `dates` (fields declared datetime) pass the same rows."""

    source: bytes
    dates: frozenset[str]
    root: Node = dataclasses.field(compare=False)


def parse(source: bytes, types: Types = frozenset()) -> Filter | None:
    """Parse a filter's JSON; None where it is empty, so that every row passes.

    Args:
        source: the JSON.
        types: of the fields that are declared.

    Raises:
        BadFilterError: it is not of the language or beyond a limit; the message names field and operator.
    """
    if not source:
        return None
    if len(source) > MAX_BYTES:
        raise errors.BadFilterError(f"the filter has {len(source)} bytes; at most {MAX_BYTES} are possible")
    return _remembered(source, types) if len(source) <= _REMEMBERED_BYTES else _parse(source, types)


def _parse(source: bytes, types: Types) -> Filter | None:
    try:
        document = msgspec.json.decode(source)
    except (msgspec.DecodeError, RecursionError) as broken:
        raise errors.BadFilterError(f"the filter is not JSON: {broken}") from broken
    root = _Parser(dict(types)).node(document, 1)
    dates = frozenset(name for name, kind in types if kind is config.FieldType.DATETIME)
    return None if root == AllOf(()) else Filter(source, dates, root)


_remembered = functools.lru_cache(_REMEMBERED)(_parse)


def mask(wanted: Filter, rows: Iterable[Metadata | None]) -> Mask:
    """Return one boolean for each row's metadata: whether it passes."""
    test = _compile(wanted.root)
    return np.fromiter((test(row or {}) for row in rows), np.bool_)


def fields_of(node: Node) -> frozenset[str]:
    """Return the metadata fields that a tree asks for."""
    match node:
        case AllOf(parts) | AnyOf(parts):
            return frozenset().union(*map(fields_of, parts))
        case Negation(part):
            return fields_of(part)
        case Condition():
            return frozenset([node.field])


class _Parser:
    """Checks and builds the tree, counting conditions over all of it."""

    def __init__(self, types: field_types.Types) -> None:
        self._types = types
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
        if name == NOT:
            return [Negation(self.node(value, depth + 1))]
        if name.startswith("$"):
            raise errors.BadFilterError(f"{name} stands where a field, $and, $or or $not should")
        if not isinstance(value, dict):
            return [self._condition(name, Operator.EQ, value)]
        return self._conditions_of(name, value, depth)

    def _conditions_of(self, field: str, document: dict[str, Any], depth: int) -> list[Node]:
        if not document:
            raise errors.BadFilterError(
                f'field "{field}" has no operator; write {{"$eq": value}} for example'
            )
        if depth > MAX_DEPTH:
            raise errors.BadFilterError(f"the filter nests deeper than {MAX_DEPTH} levels")
        found: list[Node] = []
        for name, operand in document.items():
            if name != NOT:
                found.append(self._condition(field, name, operand))
            elif isinstance(operand, dict):
                found.append(Negation(AllOf(tuple(self._conditions_of(field, operand, depth + 1)))))
            else:
                raise errors.BadFilterError(
                    f'field "{field}": $not takes an object of operators; this is {_kind(operand)}'
                )
        return found

    def _condition(self, field: str, name: str, operand: Any) -> Condition:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS + _OF_GROUPS:
            raise errors.BadFilterError(f"the filter has more than {MAX_CONDITIONS} conditions")
        if name not in _CHECKS:
            known = ", ".join([*_CHECKS, NOT])
            raise errors.BadFilterError(f'field "{field}": {name} is no operator; these are: {known}')
        operator = Operator(name)
        kind = None if operator is Operator.EXISTS else self._types.get(field)
        if kind is config.FieldType.DATETIME:
            return _dated(field, operator, operand)
        if kind is not None:
            _check_type(field, kind, operator, operand)
        wanted, check = _CHECKS[operator]
        if not check(operand):
            hint = _HINT if operator in _COMPARE and isinstance(operand, str) else ""
            raise errors.BadFilterError(
                f'field "{field}": {name} takes {wanted}; this is {_kind(operand)}{hint}'
            )
        if operator in _LISTED:
            operand = frozenset(_typed(value) for value in operand)
        return Condition(field, operator, operand)


def _check_type(field: str, kind: config.FieldType, operator: Operator, operand: Any) -> None:
    """Refuse what no value of a declared field can equal, or be compared with."""
    if operator in _COMPARE and kind not in _ORDERED:
        raise errors.BadFilterError(
            f'field "{field}" is declared {kind}: {operator} compares numbers and dates; '
            "use $eq, $ne, $in or $nin"
        )
    values = operand if operator in _LISTED else [operand]
    for value in values if isinstance(values, list) else ():
        if wrong := field_types.miscompared(kind, value):
            raise errors.BadFilterError(f'field "{field}" is declared {kind}: {operator} {wrong}')


def _dated(field: str, operator: Operator, operand: Any) -> Condition:
    """Return a condition on a field that is declared datetime."""
    if operator not in _LISTED:
        return Condition(field, operator, _instant(field, operator, operand), dated=True)
    if not isinstance(operand, list) or len(operand) > MAX_LISTED:
        raise errors.BadFilterError(
            f'field "{field}": {operator} takes a list of at most {MAX_LISTED} dates, not {_kind(operand)}'
        )
    moments = frozenset(_instant(field, operator, value) for value in operand)
    return Condition(field, operator, moments, dated=True)


def _instant(field: str, operator: Operator, operand: Any) -> int:
    moment = instants.of(operand)
    if moment is None:
        wrong = field_types.miscompared(config.FieldType.DATETIME, operand)
        raise errors.BadFilterError(f'field "{field}" is declared datetime: {operator} {wrong}')
    return moment


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
_ORDERED = (config.FieldType.INTEGER, config.FieldType.FLOAT)
NEGATED = {Operator.NE: Operator.EQ, Operator.NIN: Operator.IN}
_LISTED = (Operator.IN, Operator.NIN)
_HINT = " (dates compare in fields that are declared datetime)"


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
        case Negation(part):
            passes = _compile(part)
            return lambda row: not passes(row)
        case Condition():
            return _compile_condition(node)


def _compile_condition(condition: Condition) -> Test:
    field, operator, operand = condition.field, condition.operator, condition.operand
    if operator is Operator.EXISTS:
        return lambda row: (field in row) is operand
    if operator in NEGATED:
        passes = _compile_condition(dataclasses.replace(condition, operator=NEGATED[operator]))
        return lambda row: not passes(row)
    holds = _instant_test(operator, operand) if condition.dated else _element_test(operator, operand)

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


def _instant_test(operator: Operator, operand: Any) -> Callable[[Any], bool]:
    if operator is Operator.EQ:
        return lambda value: instants.of(value) == operand
    if operator is Operator.IN:
        return lambda value: instants.of(value) in operand
    compare = _COMPARE[operator]

    def holds(value: Any) -> bool:
        moment = instants.of(value)
        return moment is not None and compare(moment, operand)

    return holds
