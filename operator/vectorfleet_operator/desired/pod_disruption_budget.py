"""The PodDisruptionBudgets: a drain may take one replica of a shard, and one gateway, at a time.

With a single replica a drain still goes through, since its volume waits for it; a budget of zero would only
block the drain for ever.
"""

from .. import ports
from . import inputs, names


def build_shard(given: inputs.Inputs, number: int) -> inputs.Object:
    """Return the budget of one shard."""
    index = given.index.metadata.name
    labels = names.labels(index, names.SHARD, number)
    return _build(given, names.shard(index, number), labels, names.selector(index, names.SHARD, number))


def build_gateway(given: inputs.Inputs) -> inputs.Object:
    """Return the gateway's budget."""
    index = given.index.metadata.name
    labels = names.labels(index, names.GATEWAY)
    return _build(given, names.gateway(index), labels, names.selector(index, names.GATEWAY))


def _build(
    given: inputs.Inputs, name: str, labels: dict[str, str], selector: dict[str, str]
) -> inputs.Object:
    spec = {
        "maxUnavailable": 1,
        # A pod that is broken anyway must not hold up the drain of its node.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": selector},
    }
    return names.build_object(given, ports.POD_DISRUPTION_BUDGET, name, labels, spec=spec)
