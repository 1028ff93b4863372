"""The secrets of an index: kept where they exist, drawn once where they do not.

A key that a client holds never changes behind its back: an existing Secret is read, and given back as it is.
"""

from . import observe, ports
from .api import vector_index
from .desired import inputs, names, secret
from .plan import observed


def settle(
    index: vector_index.VectorIndex, seen: observed.Observed, entropy: ports.Entropy
) -> inputs.Credentials:
    """Return the secrets of the index; new ones only where there are none."""
    token = observe.entry(seen, names.internal_secret(index.metadata.name), secret.TOKEN)
    return inputs.Credentials(token=token or entropy.secret(), api_key=_api_key(index, seen, entropy))


def _api_key(index: vector_index.VectorIndex, seen: observed.Observed, entropy: ports.Entropy) -> str | None:
    if index.spec.gateway.auth.secret_ref is not None:
        return None
    name = names.api_key_secret(index)
    found = seen.find(ports.SECRET, name)
    if found is None or (seen.owns(found) and not found.get("data")):
        return entropy.secret()
    # A Secret that the user made beforehand, or that holds keys of the user's alone, is the user's.
    return (observe.entry(seen, name, secret.API_KEY) or None) if seen.owns(found) else None
