"""Manifests from files, checked as an API server would check them before it keeps them."""

import base64
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import yaml

from ... import errors, ports
from ...api import parse, support, transition, vector_index

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SECRET_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")


def read(path: pathlib.Path) -> tuple[dict[str, Any], ...]:
    """Return the VectorIndexes and Secrets of a YAML file, each in a namespace.

    Raises:
        errors.InvalidSpec: the file can't be read, or holds something else; the message names the file.
    """
    try:
        documents = [one for one in yaml.safe_load_all(path.read_text()) if one is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise errors.InvalidSpec(f"{path}: {error}") from error
    if not documents:
        raise errors.InvalidSpec(f"{path}: there is no manifest in it")
    try:
        return tuple(_checked(document) for document in documents)
    except errors.InvalidSpec as error:
        raise errors.InvalidSpec(f"{path}: {error}") from error


def check_changes(wanted: Sequence[ports.Manifest], kept: Sequence[ports.Manifest]) -> None:
    """Refuse what can't be yet, and changes of fields that keep their first value.

    Args:
        wanted: manifests that `read` returned.
        kept: the VectorIndexes that there are.

    Raises:
        errors.InvalidSpec: one of these; nothing is to be kept.
    """
    before = {_named(one): one for one in kept}
    for manifest in wanted:
        if manifest["kind"] != ports.VECTOR_INDEX.kind:
            continue
        spec, name = parse.parse_index(manifest).spec, manifest["metadata"]["name"]
        if paths := support.unsupported(spec):
            raise errors.InvalidSpec(f"{name}: {support.refusal(paths)}")
        old = before.get(_named(manifest))
        broken = _broken(old, spec) if old else ()
        if broken:
            raise errors.InvalidSpec(f"{name}: {'; '.join(broken)}")


def _broken(old: ports.Manifest, spec: vector_index.VectorIndexSpec) -> tuple[str, ...]:
    known = parse.parse_index(old)
    return transition.broken(known.spec, spec, known.status.volume_size)


def _checked(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise errors.InvalidSpec(f"a manifest is a mapping, not {type(document).__name__}")
    metadata = document.get("metadata")
    given = metadata if isinstance(metadata, dict) else {}
    manifest = {key: value for key, value in document.items() if key != "status"}
    manifest["metadata"] = {"namespace": "default"} | given
    namespace = manifest["metadata"]["namespace"]
    if not isinstance(namespace, str) or not _LABEL.fullmatch(namespace):
        raise errors.InvalidSpec(
            f"metadata.namespace: {namespace!r} must be at most 63 characters of a-z, 0-9 and -"
        )
    named = (document.get("apiVersion"), document.get("kind"))
    if named == (ports.SECRET.api_version, ports.SECRET.kind):
        return _secret(manifest)
    if named != (ports.VECTOR_INDEX.api_version, ports.VECTOR_INDEX.kind):
        raise errors.InvalidSpec(
            f"a {ports.VECTOR_INDEX.kind} of {ports.VECTOR_INDEX.api_version} or a v1 Secret runs here, "
            f"not {named[1]} of {named[0]}"
        )
    _refuse_issuers(parse.parse_index(manifest).spec)
    return manifest


def _refuse_issuers(spec: vector_index.VectorIndexSpec) -> None:
    tls = spec.gateway.tls
    if spec.internal_tls.issuer_ref is not None or (tls is not None and tls.issuer_ref is not None):
        raise errors.InvalidSpec(
            "issuerRef needs cert-manager, which there is none of on this machine; give a certificate by "
            "spec.gateway.tls.secretRef, and leave spec.internalTls to the operator"
        )


def _secret(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a Secret with all of its entries in `data`, as an API server keeps it."""
    name = manifest["metadata"].get("name")
    if not isinstance(name, str) or not _SECRET_NAME.fullmatch(name):
        raise errors.InvalidSpec(f"metadata.name of a Secret: {name!r} must be a DNS name")
    given, plain = manifest.get("data") or {}, manifest.get("stringData") or {}
    try:
        for value in given.values():
            base64.b64decode(value, validate=True)
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise errors.InvalidSpec(
            f"Secret {name}: data holds base64 text, stringData text, by name"
        ) from error
    for key in {**given, **plain}:
        if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", str(key)) or key in {".", ".."}:
            raise errors.InvalidSpec(f"Secret {name}: {key!r} is no name of an entry")
    kept = {key: value for key, value in manifest.items() if key != "stringData"}
    return kept | {"data": {**given, **encoded}}


def _named(manifest: ports.Manifest) -> tuple[str, str]:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]
