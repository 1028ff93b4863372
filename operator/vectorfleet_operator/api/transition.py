"""Which fields of a spec a change may not touch: the CRD's transition rules, for where no CRD is. PURE."""

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from . import base, vector_index, workload_spec


def broken(
    before: vector_index.VectorIndexSpec, after: vector_index.VectorIndexSpec, volume_size: str | None = None
) -> tuple[str, ...]:
    """Return a sentence for each immutable field that differs; `volume_size` is what the volumes have."""
    return tuple(_walk(before, after, "spec", volume_size))


def _walk(before: BaseModel, after: BaseModel, path: str, least: str | None) -> Iterator[str]:
    for name, field in type(after).model_fields.items():
        old, new, here = getattr(before, name), getattr(after, name), f"{path}.{field.alias or name}"
        match _mark(field):
            case base.Immutable(why, basis) if basis.of(old) != basis.of(new):
                yield f"{here} is immutable: {why}"
            case base.OnlyGrows(why) if _is_less(new, old) and _is_less(new, least or old):
                yield f"{here} may only grow: {why}"
            case None if isinstance(old, BaseModel) and isinstance(new, BaseModel):
                yield from _walk(old, new, here, least)


def _is_less(one: str, other: str) -> bool:
    return workload_spec.amount(one) < workload_spec.amount(other)


def _mark(field: FieldInfo) -> base.Immutable | base.OnlyGrows | None:
    return next((item for item in field.metadata if isinstance(item, base.Immutable | base.OnlyGrows)), None)
