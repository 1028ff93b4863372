"""Which values a metadata field takes that is declared with a type. Pure.

Gateways check a request whole before any shard sees a part of it, and shards check what they are sent, by the
same function. A list of values that fit is taken as well.
"""

from collections.abc import Callable, Mapping
from typing import Any

from . import config, instants

Types = Mapping[str, config.FieldType]
"""Declared types by the name of a field."""


def misfit(metadata: Mapping[str, Any], types: Types) -> str:
    """Return what is wrong with the declared fields that some metadata has, empty where each fits."""
    for name in types.keys() & metadata.keys():
        value, (wanted, fits) = metadata[name], _TAKES[types[name]]
        for element in value if isinstance(value, list) else (value,):
            if not fits(element):
                return (
                    f'field "{name}" is declared {types[name]}: it takes {wanted}, or a list of such; '
                    f"this is {shown(element)}"
                )
    return ""


def miscompared(kind: config.FieldType, value: Any) -> str:
    """Return why a filter can't compare a field of this type with a value; empty where it can.

    Any number compares with whole ones.
    """
    wanted, fits = _TAKES[config.FieldType.FLOAT if kind is config.FieldType.INTEGER else kind]
    return "" if fits(value) else f"takes {wanted}; this is {shown(value)}"


def shown(value: Any) -> str:
    """Return a value as an error names it, cut where it is long."""
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return f"the number {value}" if abs(value) < 1e18 else "a number"
        case str():
            return f'"{value[:40]}"'
        case None:
            return "null"
    return "an object" if isinstance(value, dict) else "a list in a list"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TAKES: dict[config.FieldType, tuple[str, Callable[[Any], bool]]] = {
    config.FieldType.KEYWORD: ("a string", lambda value: isinstance(value, str)),
    config.FieldType.INTEGER: ("a whole number", lambda value: _is_number(value) and value % 1 == 0),
    config.FieldType.FLOAT: ("a number", _is_number),
    config.FieldType.BOOLEAN: ("true or false", lambda value: isinstance(value, bool)),
    config.FieldType.DATETIME: (instants.FORM, lambda value: instants.of(value) is not None),
}
