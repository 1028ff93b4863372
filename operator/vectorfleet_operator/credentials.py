"""The secrets of an index: kept where they exist, drawn once where they do not.

A key that a client holds never changes behind its back: an existing Secret is read, and given back as it is.
Certificates are renewed in time; their rules are in `certificates`.
"""

import json

from vectorfleet_runtime import parties

from . import certificates, observe, pki, ports
from .api import vector_index
from .desired import inputs, names, secret
from .plan import observed


def settle(
    index: vector_index.VectorIndex, seen: observed.Observed, given: ports.Ports
) -> inputs.Credentials:
    """Return the secrets of the index; new ones only where there are none, or where they end."""
    internal = None
    if index.spec.internal_tls.issuer_ref is None:
        own = parties.Party(parties.Role.OPERATOR, index.metadata.name, index.metadata.namespace)
        moment = certificates.Moment(given.clock.now(), given.entropy.secret)
        internal = certificates.settle(_found(own.index, seen), own, moment)
    return inputs.Credentials(internal, _api_key(index, seen, given.entropy))


def shown(seen: observed.Observed, index: str) -> str:
    """Return what the operator shows to shards of an index, as text; empty where there is nothing yet."""
    name = names.certificate_secret(index, parties.Role.OPERATOR)
    parts = {part: observe.entry(seen, name, part) for part in secret.CERTIFICATE_ENTRIES}
    return json.dumps(parts) if all(parts.values()) else ""


def _found(index: str, seen: observed.Observed) -> certificates.Internal:
    kept = names.authority_secret(index)
    pairs = [
        pki.Pair(*(observe.entry(seen, kept, entry) for entry in entries))
        for entries in (secret.NEWEST_ENTRIES, secret.BEFORE_ENTRIES)
    ]
    leaves = {
        role: pki.Pair(
            observe.entry(seen, names.certificate_secret(index, role), secret.CERTIFICATE),
            observe.entry(seen, names.certificate_secret(index, role), secret.KEY),
        )
        for role in parties.Role
    }
    # What pods trust stands in their own Secrets too, should that of the authority be lost.
    places = (kept, *(names.certificate_secret(index, role) for role in parties.Role))
    trusted = dict.fromkeys(
        one for place in places for one in pki.split(observe.entry(seen, place, secret.TRUSTED))
    )
    return certificates.Internal(tuple(pair for pair in pairs if pair.certificate), "".join(trusted), leaves)


def _api_key(index: vector_index.VectorIndex, seen: observed.Observed, entropy: ports.Entropy) -> str | None:
    if index.spec.gateway.auth.secret_ref is not None:
        return None
    name = names.api_key_secret(index)
    found = seen.find(ports.SECRET, name)
    if found is None or (seen.owns(found) and not found.get("data")):
        return entropy.secret()
    # A Secret that the user made beforehand, or that holds keys of the user's alone, is the user's.
    return (observe.entry(seen, name, secret.API_KEY) or None) if seen.owns(found) else None
