"""Certificates of cert-manager, where an issuer is named: it signs, keeps and renews them in Secrets."""

from vectorfleet_runtime import parties

from .. import ports
from ..api import serving_spec
from . import inputs, names

_LIFE, _RENEWED_BEFORE = "2160h", "720h"
_PRIVATE_KEY = {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"}


def build_internal(given: inputs.Inputs, role: parties.Role) -> inputs.Object | None:
    """Return the certificate that a role shows inside of the index, None where the operator signs it."""
    issuer, index = given.spec.internal_tls.issuer_ref, given.index.metadata
    if issuer is None:
        return None
    party = parties.Party(role, index.name, index.namespace)
    name = names.certificate_secret(index.name, role)
    return _build(given, name, issuer, (party.name,), ("server auth", "client auth"))


def build_public(given: inputs.Inputs) -> inputs.Object | None:
    """Return the certificate of the public port, None where it is somebody else's or there is none."""
    tls, name = given.spec.gateway.tls, names.public_secret(given.index)
    if tls is None or tls.issuer_ref is None or name is None:
        return None
    hosts = (*names.public_names(names.key(given.index)), *tls.dns_names)
    return _build(given, name, tls.issuer_ref, hosts, ("server auth",))


def _build(
    given: inputs.Inputs,
    name: str,
    issuer: serving_spec.IssuerReference,
    hosts: tuple[str, ...],
    usages: tuple[str, ...],
) -> inputs.Object:
    labels = names.labels(given.index.metadata.name)
    spec = {
        "secretName": name,
        "secretTemplate": {"labels": labels},
        "duration": _LIFE,
        "renewBefore": _RENEWED_BEFORE,
        "privateKey": dict(_PRIVATE_KEY),
        "dnsNames": list(dict.fromkeys(hosts)),
        "usages": list(usages),
        "issuerRef": {"name": issuer.name, "kind": issuer.kind, "group": issuer.group},
    }
    return names.build_object(given, ports.CERTIFICATE, name, labels, spec=spec)
