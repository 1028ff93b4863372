"""What the options of `vectorfleet serve` declare: vector fields, typed fields, and fields of text.

Imported only when it is needed, since the configuration's models are an extra.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pydantic
import typer

from vectorfleet_shardnode.api import config

T = TypeVar("T")

TOKENS = "tokens"


def vector_fields(texts: Sequence[str]) -> tuple[config.VectorField, ...]:
    """Return vector fields from texts such as `title:384`, or `body:128:tokens` for late interaction.

    Raises:
        typer.BadParameter: a text is none.
    """
    return _parsed(texts, "--vector-field", "NAME:DIMENSIONS, or NAME:DIMENSIONS:tokens", _vector_field)


def typed_fields(texts: Sequence[str]) -> tuple[config.SchemaField, ...]:
    """Return typed metadata fields from texts such as `year:integer`.

    Raises:
        typer.BadParameter: a text is none.
    """
    kinds = ", ".join(config.FieldType)
    return _parsed(texts, "--field", f"NAME:TYPE, of the types {kinds}", _typed_field)


def language(text: str) -> config.Language:
    """Return a language from its English name.

    Raises:
        typer.BadParameter: there are no stems and stop words of it.
    """
    try:
        return config.Language(text)
    except ValueError as wrong:
        known = ", ".join(config.Language)
        raise typer.BadParameter(f"{text!r} is none of {known}", param_hint="'--language'") from wrong


def _parsed(texts: Sequence[str], option: str, form: str, parse: Callable[[str], T]) -> tuple[T, ...]:
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except pydantic.ValidationError as wrong:
            [first, *_] = wrong.errors(include_url=False)
            raise typer.BadParameter(f"{text}: {first['msg']}", param_hint=f"'{option}'") from wrong
        except ValueError as wrong:
            raise typer.BadParameter(f"{text!r} is not {form}", param_hint=f"'{option}'") from wrong
    return tuple(found)


def _vector_field(text: str) -> config.VectorField:
    name, dimensions, *late = text.split(":")
    if late not in ([], [TOKENS]):
        raise ValueError(text)
    return config.VectorField(name=name, dimensions=int(dimensions), late_interaction=bool(late))


def _typed_field(text: str) -> config.SchemaField:
    name, _, kind = text.rpartition(":")  # a field's own name may have a colon
    if not name:
        raise ValueError(text)
    return config.SchemaField(name=name, type=config.FieldType(kind))
