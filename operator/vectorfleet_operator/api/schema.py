"""From a pydantic model to a structural OpenAPI v3 schema, as a CRD wants it.

Pydantic's JSON Schema has references, nulls and titles; a structural schema has none of them. Defaults of
nested parts become `{}`, so that the API server fills them in field by field, as the models do; empty ones
are left out, since they would only swell every stored object. A status has no defaults: it is written whole.
"""

import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from . import base

Schema = dict[str, Any]

_KEPT = frozenset(
    {
        "type", "description", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems",
        "maxProperties", "minimum", "maximum", "format", "anyOf", "additionalProperties",
    }
)  # fmt: skip

_ITEM = "[*]"


def build_schema(model: type[BaseModel], path: str, names: tuple[str, ...] | None = None) -> Schema:
    """Return the schema of a model; `path` is where it stands, such as `spec.model`.

    Args:
        model: a class built of `base.Part` or `base.Observed`.
        path: what messages call the object.
        names: only these fields, by attribute; all where None.
    """
    tree = model.model_json_schema(by_alias=True)
    definitions = tree.get("$defs", {})
    fields = {name: field for name, field in model.model_fields.items() if names is None or name in names}
    properties = {
        field.alias or name: _field_schema(field, tree["properties"][field.alias or name], definitions, path)
        for name, field in fields.items()
    }
    if issubclass(model, base.Observed):
        for one in properties.values():
            one.pop("default", None)
    required = [field.alias or name for name, field in fields.items() if field.is_required()]
    schema: Schema = {"type": "object", "description": _doc(model), "properties": properties}
    if required:
        schema["required"] = required
    return schema | _validations((*getattr(model, "cel_rules", ()), *_kept_options(fields, path)))


def _kept_options(fields: Mapping[str, FieldInfo], path: str) -> Iterator[base.Rule]:
    """Yield a rule for each immutable field that may be absent: no rule of its own sees it come or go."""
    for field in fields.values():
        kept = _immutable(field, path)
        if kept is not None and not _is_always_there(field):
            name = field.alias
            now, before = (kept.basis.cel.format(f"{one}.{name}") for one in ("self", "oldSelf"))
            cel = f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {now} == {before})"
            yield base.Rule(cel, f"{path}.{name} is immutable: {kept.why}")


def _immutable(field: FieldInfo, path: str) -> base.Immutable | None:
    if _ITEM in path:
        return None  # the mark of the list speaks for its items
    return next((mark for mark in field.metadata if isinstance(mark, base.Immutable)), None)


def _is_always_there(field: FieldInfo) -> bool:
    return field.is_required() or field.default not in (None, ())


def _field_schema(
    field: FieldInfo, given: Mapping[str, Any], definitions: Mapping[str, Any], path: str
) -> Schema:
    here = f"{path}.{field.alias}" if path else str(field.alias)
    part = part_of(field.annotation)
    if part is None:
        schema = _plain(given, definitions)
    elif _is_list(field.annotation):
        schema = {"type": "array", "items": build_schema(part, f"{here}{_ITEM}")} | _bounds(given)
    else:
        schema = build_schema(part, here)
    schema["description"] = field.description or schema["description"]
    if (kept := _immutable(field, path)) is not None and _is_always_there(field):
        schema = _with_rule(schema, base.Rule("self == oldSelf", f"{here} is immutable: {kept.why}"))
    default = _default(field, given, schema)
    if default is not None:
        schema["default"] = default
    if schema.get("items", {}).get("properties", {}).get("lastTransitionTime"):
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return schema


def _default(field: FieldInfo, given: Mapping[str, Any], schema: Schema) -> object:
    """Return the default that the API server fills in, None where it has nothing to fill in."""
    if field.is_required():
        return None
    if isinstance(field.default, BaseModel):
        return {} if any("default" in one for one in schema["properties"].values()) else None
    return None if field.default in ((), {}, "") else given["default"]


def part_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside an annotation such as `Part | None` or `tuple[Part, ...]`, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (tuple, typing.Union, types.UnionType, typing.Annotated):
        inner = (part_of(argument) for argument in typing.get_args(annotation))
        return next((model for model in inner if model is not None), None)
    return None


def _is_list(annotation: Any) -> bool:
    if typing.get_origin(annotation) is tuple:
        return True
    return any(_is_list(argument) for argument in typing.get_args(annotation) if typing.get_origin(argument))


def _plain(given: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """Return the schema of a value that holds no model."""
    if "$ref" in given:
        return _plain(
            definitions[given["$ref"].rpartition("/")[2]] | {"description": given.get("description", "")}, {}
        )
    kept = {key: value for key, value in given.items() if key in _KEPT or key.startswith("x-")}
    if "items" in given:
        kept["items"] = _plain(given["items"], definitions)
    if isinstance(given.get("additionalProperties"), Mapping):
        kept["additionalProperties"] = _plain(given["additionalProperties"], definitions)
    if "anyOf" in kept and "x-kubernetes-int-or-string" not in kept:
        [value] = [choice for choice in kept.pop("anyOf") if choice.get("type") != "null"]
        kept = _plain(value, definitions) | kept
    return kept


def _bounds(given: Mapping[str, Any]) -> Schema:
    return {key: value for key, value in given.items() if key in {"minItems", "maxItems"}}


def _with_rule(schema: Schema, rule: base.Rule) -> Schema:
    inner = schema.get("x-kubernetes-validations", [])
    return schema | {"x-kubernetes-validations": [*inner, *_validations((rule,))["x-kubernetes-validations"]]}


def _validations(rules: Iterable[base.Rule]) -> Schema:
    listed = [{"rule": rule.cel, "message": rule.message} for rule in rules]
    return {"x-kubernetes-validations": listed} if listed else {}


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())
