"""The ServiceAccounts of the data plane: names without rights, and without a token in the pods."""

from .. import ports
from . import inputs, names


def build_shard(given: inputs.Inputs) -> inputs.Object:
    """Return the shards' ServiceAccount."""
    index = given.index.metadata.name
    return _build(given, names.shard_account(index), names.SHARD)


def build_gateway(given: inputs.Inputs) -> inputs.Object:
    """Return the gateway's ServiceAccount."""
    index = given.index.metadata.name
    return _build(given, names.gateway(index), names.GATEWAY)


def _build(given: inputs.Inputs, name: str, component: str) -> inputs.Object:
    labels = names.labels(given.index.metadata.name, component)
    return names.build_object(given, ports.SERVICE_ACCOUNT, name, labels, automountServiceAccountToken=False)
