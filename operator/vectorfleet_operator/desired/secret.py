"""The Secrets: certificates of the index's processes, their authority, and the API key."""

import base64

from vectorfleet_runtime import parties

from .. import ports
from . import inputs, names

API_KEY = "api-key"
CERTIFICATE, KEY, TRUSTED = "tls.crt", "tls.key", "ca.crt"
CERTIFICATE_ENTRIES = (CERTIFICATE, KEY, TRUSTED)
"""Of a process: what it shows, and whom it trusts."""
NEWEST_ENTRIES, BEFORE_ENTRIES = (CERTIFICATE, KEY), ("before.crt", "before.key")
"""Of the authority: the newest, and the one that signs until every pod trusts that."""
_TLS = "kubernetes.io/tls"


def build_authority(given: inputs.Inputs) -> inputs.Object | None:
    """Return the Secret with the index's own authority, which no pod mounts; None where others sign."""
    internal = given.credentials.internal
    if internal is None:
        return None
    entries = {TRUSTED: internal.trusted}
    for pair, (certificate, key) in zip(internal.authorities, (NEWEST_ENTRIES, BEFORE_ENTRIES), strict=False):
        entries |= {certificate: pair.certificate, key: pair.key}
    return _build(given, names.authority_secret(given.index.metadata.name), entries)


def build_certificate(given: inputs.Inputs, role: parties.Role) -> inputs.Object | None:
    """Return the Secret with the certificate of a role, None where somebody else signs."""
    internal = given.credentials.internal
    if internal is None:
        return None
    pair, name = internal.shown[role], names.certificate_secret(given.index.metadata.name, role)
    entries = {CERTIFICATE: pair.certificate, KEY: pair.key, TRUSTED: internal.trusted}
    return _build(given, name, entries, _TLS)


def build_api_key(given: inputs.Inputs) -> inputs.Object | None:
    """Return the Secret with the operator's API key, None where somebody else keeps the keys."""
    if given.credentials.api_key is None:
        return None
    return _build(given, names.api_key_secret(given.index), {API_KEY: given.credentials.api_key})


def _build(given: inputs.Inputs, name: str, entries: dict[str, str], kind: str = "Opaque") -> inputs.Object:
    data = {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()}
    labels = names.labels(given.index.metadata.name)
    return names.build_object(given, ports.SECRET, name, labels, type=kind, data=data)
