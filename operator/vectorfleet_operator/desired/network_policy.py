"""The NetworkPolicies: nothing comes to or goes from an index's pods but by the ways that are named here.

| to | from | port |
|---|---|---|
| gateways | whom `spec.gateway.clients` names, everybody where nobody is named | 8080 |
| shards | gateways and shards of the same index, the operator | 7400 |
| both | whom the operator's settings name for metrics | 9090 |

They themselves go to shards of the same index and to DNS; gateways go anywhere by TCP where the manifest
names a service that they call, since policies know no host names.
"""

from .. import ports
from . import inputs, names

_DNS_PORT = 53


def build_gateway(given: inputs.Inputs) -> inputs.Object | None:
    """Return the gateways' policy, None where policies are not wanted."""
    if given.network is None:
        return None
    clients = list(given.spec.gateway.clients)
    ingress = [{"ports": [_tcp(names.HTTP_PORT)]} | ({"from": clients} if clients else {})]
    egress = [_to_shards(given), _to_dns()]
    if _calls_services(given):
        # A policy sees addresses behind Services, whose ports are others than those of the URL.
        egress.append({"ports": [{"protocol": "TCP"}]})
    return _build(given, names.GATEWAY, [*ingress, *_metrics(given.network)], egress)


def build_shard(given: inputs.Inputs) -> inputs.Object | None:
    """Return the shards' policy, None where policies are not wanted."""
    if given.network is None:
        return None
    index = given.index.metadata.name
    peers = [
        {"podSelector": {"matchLabels": names.selector(index, names.GATEWAY)}},
        {"podSelector": {"matchLabels": names.selector(index, names.SHARD)}},
        _operator(given.network),
    ]
    ingress = [{"from": peers, "ports": [_tcp(names.GRPC_PORT)]}]
    return _build(given, names.SHARD, [*ingress, *_metrics(given.network)], [_to_shards(given), _to_dns()])


def _build(
    given: inputs.Inputs, component: str, ingress: list[inputs.Object], egress: list[inputs.Object]
) -> inputs.Object:
    index = given.index.metadata.name
    spec = {
        "podSelector": {"matchLabels": names.selector(index, component)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }
    labels = names.labels(index, component)
    return names.build_object(given, ports.NETWORK_POLICY, f"{index}-{component}", labels, spec=spec)


def _operator(network: ports.Network) -> inputs.Object:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": network.operator_namespace}},
        "podSelector": {"matchLabels": dict(network.operator_labels)},
    }


def _metrics(network: ports.Network) -> list[inputs.Object]:
    peers = list(network.metrics_from)
    return [{"from": peers, "ports": [_tcp(names.METRICS_PORT)]}] if peers else []


def _to_shards(given: inputs.Inputs) -> inputs.Object:
    shards = {"podSelector": {"matchLabels": names.selector(given.index.metadata.name, names.SHARD)}}
    return {"to": [shards], "ports": [_tcp(names.GRPC_PORT)]}


def _to_dns() -> inputs.Object:
    return {"ports": [{"protocol": protocol, "port": _DNS_PORT} for protocol in ("UDP", "TCP")]}


def _calls_services(given: inputs.Inputs) -> bool:
    """Return whether gateways call what the manifest names: an embedder, a reranker, an issuer's keys."""
    jwt = given.spec.gateway.auth.jwt
    services = (given.spec.embedder, given.spec.reranker)
    return any(one is not None for one in services) or (jwt is not None and jwt.url is not None)


def _tcp(port: int) -> inputs.Object:
    return {"protocol": "TCP", "port": port}
