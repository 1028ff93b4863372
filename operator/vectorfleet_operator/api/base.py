"""What the models of the custom resources are made of: a base, quantities, rules, and marks on fields.

Each rule exists twice: as CEL in the CRD, so that the API server refuses a bad manifest with no webhook, and
in pydantic, so that the local cluster, which has no API server, refuses the same.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel


@dataclasses.dataclass(frozen=True)
class Rule:
    """A CEL expression that must hold, and what a user reads where it does not."""

    cel: str
    message: str


class Part(BaseModel):
    """Base of every part of a manifest: frozen, camelCase, and strict about unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_enum_values=False
    )
    cel_rules: ClassVar[tuple[Rule, ...]] = ()

    def broken_rule(self) -> str:
        """Return why the part contradicts itself, or an empty string: the Python twin of `cel_rules`."""
        return ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if reason := self.broken_rule():
            raise ValueError(reason)
        return self


class Observed(BaseModel):
    """Base of what the cluster says: like `Part`, but unknown fields of newer versions are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)
    cel_rules: ClassVar[tuple[Rule, ...]] = ()


@dataclasses.dataclass(frozen=True)
class Later:
    """Marks a field whose behaviour does not exist yet: any value but `allowed` is refused, never ignored."""

    allowed: tuple[object, ...] = (None,)


@dataclasses.dataclass(frozen=True)
class Basis:
    """The part of a value that is kept where the rest may change: in CEL, of `{}`, and in Python."""

    cel: str
    of: Callable[[Any], object]


_WHOLE = Basis("{}", lambda value: value)


@dataclasses.dataclass(frozen=True)
class Immutable:
    """Marks a field that keeps its first value, or of it the basis.

    `why` completes "spec.x is immutable: …". Marks inside of a list's items say nothing, since CEL knows no
    old item of a new one: the list's own basis does.
    """

    why: str
    basis: Basis = _WHOLE


@dataclasses.dataclass(frozen=True)
class OnlyGrows:
    """Marks a quantity that may not become less, unless a status says how far it may go back.

    `why` completes "spec.x may only grow: …". The status is out of a field's own sight, so that its CEL rule
    stands at the object's root, among its `cel_rules`.
    """

    why: str


_QUANTITY = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$"
_QUANTITY_SCHEMA = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
    "pattern": _QUANTITY,
    "maxLength": 64,
}


def _check_quantity(value: str) -> str:
    if not re.fullmatch(_QUANTITY, value):
        raise ValueError(
            f"{value!r} is not a quantity: write a number with an optional unit, such as 500m, 4Gi or 1.5"
        )
    return value


def _to_text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Quantity = Annotated[
    str, BeforeValidator(_to_text), AfterValidator(_check_quantity), WithJsonSchema(_QUANTITY_SCHEMA)
]
"""An amount in Kubernetes's notation, kept as text: "500m", "4Gi"."""

Opaque = Annotated[
    dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
]
"""A Kubernetes structure that is handed on as it is, and that Kubernetes validates."""

ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""The name of another object."""

ShortText = Annotated[str, Field(min_length=1, max_length=256)]


class NameReference(Part):
    """An object in the same namespace."""

    name: ObjectName = Field(description="Name of the object, in the namespace of the index.")


class SecretKeyReference(Part):
    """One entry of a Secret in the same namespace."""

    name: ObjectName = Field(description="Name of the Secret, in the namespace of the index.")
    key: ShortText = Field(description="Entry of the Secret's data.")
