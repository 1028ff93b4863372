"""What the options of `vectorfleet serve` declare: vector fields, typed fields, a language, services.

Imported only when it is needed, since the configuration's models are an extra.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pydantic
import typer

from vectorfleet_shardnode.api import config, services

T = TypeVar("T")
S = TypeVar("S", services.Embedder, services.Reranker)

TOKENS = "tokens"


@dataclasses.dataclass(frozen=True)
class Named:
    """A service as options name it."""

    url: str
    model: str | None
    options: Sequence[str]


def vector_fields(texts: Sequence[str]) -> tuple[config.VectorField, ...]:
    """Return vector fields from texts such as `title:384:sq8`, or `body:128:tokens` for late interaction.

    Raises:
        typer.BadParameter: a text is none.
    """
    codes = ", ".join(kind for kind in config.QuantizationKind if kind is not config.QuantizationKind.NONE)
    form = f"NAME:DIMENSIONS, or NAME:DIMENSIONS:tokens, with :CODE behind it to compress: {codes}"
    return _parsed(texts, "--vector-field", form, _vector_field)


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


def service(kind: type[S], given: Named) -> S:
    """Return a service from its URL, its model's name, and options such as `query.prefix=query: `.

    Raises:
        typer.BadParameter: it can't be one; what is wrong is named as the manifest names it.
    """
    option, url, model = f"--{kind.__name__.lower()}", given.url, given.model
    if not model:
        raise typer.BadParameter(f"is needed beside {option}", param_hint=f"'{option}-model'")
    document: dict[str, Any] = {"url": url, "model": model}
    for text in given.options:
        name, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=f"'{option}-option'")
        *parents, last = name.split(".")
        part = document
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = _plain(value)
    try:
        return kind.model_validate(document)
    except pydantic.ValidationError as wrong:
        [first, *_] = wrong.errors(include_url=False, include_input=False)
        named = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise typer.BadParameter(f"{named}: {said}", param_hint=f"'{option}'") from wrong


def _plain(text: str) -> object:
    """Return a number or a truth value where a text is one, else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


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
    name, dimensions, *more = text.split(":")
    late = more[:1] == [TOKENS]
    kind, *rest = more[late:] or [config.QuantizationKind.NONE]
    if rest:
        raise ValueError(text)
    code = config.Quantization(kind=config.QuantizationKind(kind))
    return config.VectorField(name=name, dimensions=int(dimensions), late_interaction=late, quantization=code)


def named(field: config.VectorField) -> str:
    """Return a vector field as options name it."""
    late = f":{TOKENS}" if field.late_interaction else ""
    kind = field.quantization.kind
    code = "" if kind is config.QuantizationKind.NONE else f":{kind}"
    return f"{field.name}:{field.dimensions}{late}{code}"


def _typed_field(text: str) -> config.SchemaField:
    name, _, kind = text.rpartition(":")  # a field's own name may have a colon
    if not name:
        raise ValueError(text)
    return config.SchemaField(name=name, type=config.FieldType(kind))
