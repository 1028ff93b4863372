"""From a manifest to its model, and from what is wrong with it to a sentence."""

from collections.abc import Mapping
from typing import Any

import pydantic

from .. import errors
from . import vector_index, vector_shard


def parse_index(manifest: Mapping[str, Any]) -> vector_index.VectorIndex:
    """Return the VectorIndex that a manifest describes.

    Raises:
        errors.InvalidSpec: it describes none; the message names each field.
    """
    try:
        return vector_index.VectorIndex.model_validate(_known(manifest))
    except pydantic.ValidationError as invalid:
        raise errors.InvalidSpec(describe(invalid)) from invalid


def parse_shard(manifest: Mapping[str, Any]) -> vector_shard.VectorShard:
    """Return the VectorShard that a manifest describes.

    Raises:
        errors.InvalidSpec: it describes none; the message names each field.
    """
    try:
        return vector_shard.VectorShard.model_validate(_known(manifest))
    except pydantic.ValidationError as invalid:
        raise errors.InvalidSpec(describe(invalid)) from invalid


def parse_status(manifest: Mapping[str, Any]) -> vector_index.VectorIndexStatus:
    """Return the status of a VectorIndex; an empty one where it was never written or can't be read."""
    try:
        return vector_index.VectorIndexStatus.model_validate(manifest.get("status") or {})
    except pydantic.ValidationError:
        return vector_index.VectorIndexStatus()


def describe(invalid: pydantic.ValidationError) -> str:
    """Return one sentence that names every field that is wrong and why."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {_reason(problem['type'], problem['msg'])}"
        for problem in invalid.errors(include_url=False, include_input=False)
    )


def _reason(kind: str, message: str) -> str:
    return "there is no such field" if kind == "extra_forbidden" else message.removeprefix("Value error, ")


def _known(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in manifest.items()
        if key in {"metadata", "spec", "status"} and value is not None
    }
