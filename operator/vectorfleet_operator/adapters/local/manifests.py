"""Manifests from files, checked as an API server would check them before it keeps them."""

import pathlib
from typing import Any

import yaml

from ... import errors, ports
from ...api import parse


def read(path: pathlib.Path) -> tuple[dict[str, Any], ...]:
    """Return the VectorIndexes of a YAML file, each in a namespace.

    Raises:
        errors.InvalidSpec: the file can't be read, or holds something else; the message names the file.
    """
    try:
        documents = [one for one in yaml.safe_load_all(path.read_text()) if one is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise errors.InvalidSpec(f"{path}: {error}") from error
    if not documents:
        raise errors.InvalidSpec(f"{path}: there is no manifest in it")
    return tuple(_checked(path, document) for document in documents)


def _checked(path: pathlib.Path, document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise errors.InvalidSpec(f"{path}: a manifest is a mapping, not {type(document).__name__}")
    named = (document.get("apiVersion"), document.get("kind"))
    if named != (ports.VECTOR_INDEX.api_version, ports.VECTOR_INDEX.kind):
        raise errors.InvalidSpec(
            f"{path}: only a {ports.VECTOR_INDEX.kind} of {ports.VECTOR_INDEX.api_version} runs here, "
            f"not {named[1]} of {named[0]}"
        )
    metadata = document.get("metadata") if isinstance(document.get("metadata"), dict) else {}
    manifest = document | {"metadata": {"namespace": "default"} | (metadata or {})}
    try:
        parse.parse_index(manifest)
    except errors.InvalidSpec as error:
        raise errors.InvalidSpec(f"{path}: {error}") from error
    return {key: value for key, value in manifest.items() if key != "status"}
