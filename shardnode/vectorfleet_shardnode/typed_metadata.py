"""Checks metadata against the types that its fields were declared with. Pure.

A list of such values is taken as well. What is already stored is never checked: a schema may change later.
"""

from collections.abc import Callable, Mapping
from typing import Any

from . import errors, instants
from .api import config


def check(metadata: Mapping[str, Any], types: Mapping[str, config.FieldType], row_id: str) -> None:
    """Check the declared fields that some metadata has.

    Raises:
        BadRequestError: a value is not of its field's type; the message names id, field and type.
    """
    for name in types.keys() & metadata.keys():
        value, (wanted, fits) = metadata[name], _TYPES[types[name]]
        for element in value if isinstance(value, list) else (value,):
            if not fits(element):
                raise errors.BadRequestError(
                    f'metadata of id "{row_id}": field "{name}" is declared {types[name]}: '
                    f"it takes {wanted}, or a list of such; this is {_shown(element)}"
                )


def _shown(value: Any) -> str:
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


_TYPES: dict[config.FieldType, tuple[str, Callable[[Any], bool]]] = {
    config.FieldType.KEYWORD: ("a string", lambda value: isinstance(value, str)),
    config.FieldType.INTEGER: ("a whole number", lambda value: _is_number(value) and value % 1 == 0),
    config.FieldType.FLOAT: ("a number", _is_number),
    config.FieldType.BOOLEAN: ("true or false", lambda value: isinstance(value, bool)),
    config.FieldType.DATETIME: (instants.FORM, lambda value: instants.of(value) is not None),
}
