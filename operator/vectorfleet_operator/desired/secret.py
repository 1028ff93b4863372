"""The Secrets: the internal token, and the API key where nobody else keeps one."""

import base64

from .. import ports
from . import inputs, names

TOKEN = "token"  # noqa: S105  the name of an entry
API_KEY = "api-key"


def build_internal(given: inputs.Inputs) -> inputs.Object:
    """Return the Secret with the token that gateway, shards and operator show each other."""
    index = given.index.metadata.name
    return _build(given, names.internal_secret(index), {TOKEN: given.credentials.token})


def build_api_key(given: inputs.Inputs) -> inputs.Object | None:
    """Return the Secret with the operator's API key, None where somebody else keeps the keys."""
    if given.credentials.api_key is None:
        return None
    return _build(given, names.api_key_secret(given.index), {API_KEY: given.credentials.api_key})


def _build(given: inputs.Inputs, name: str, entries: dict[str, str]) -> inputs.Object:
    data = {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()}
    labels = names.labels(given.index.metadata.name)
    return names.build_object(given, ports.SECRET, name, labels, type="Opaque", data=data)
