"""Which fields of a spec ask for behaviour that does not exist yet.

A field marked `base.Later` is part of the manifest's shape already; asking for what it promises is refused
with its name. Nothing is ever ignored silently.
"""

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from . import base, vector_index


def unsupported(spec: vector_index.VectorIndexSpec) -> tuple[str, ...]:
    """Return the paths, such as `spec.quantization.type`, of the fields that can't be honoured yet."""
    return tuple(_walk(spec, "spec"))


def refusal(paths: tuple[str, ...]) -> str:
    """Return the sentence that tells a user of them."""
    return "not supported yet: " + ", ".join(paths)


def _walk(part: BaseModel, path: str) -> Iterator[str]:
    for name, field in type(part).model_fields.items():
        value, here = getattr(part, name), f"{path}.{field.alias or name}"
        later = mark(field)
        if later is not None and value not in later.allowed:
            yield here
        elif isinstance(value, BaseModel):
            yield from _walk(value, here)


def mark(field: FieldInfo) -> base.Later | None:
    """Return the field's mark, None where it is supported whole."""
    return next((item for item in field.metadata if isinstance(item, base.Later)), None)
