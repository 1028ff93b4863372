"""The Services: one for clients, and a headless one that gives each replica its address."""

from .. import ports
from . import inputs, names


def build_client(given: inputs.Inputs) -> inputs.Object:
    """Return the Service that clients talk to."""
    index, wanted = given.index.metadata.name, given.spec.gateway.service
    name, port = ("http", 80) if given.spec.gateway.tls is None else ("https", 443)
    spec = {
        "type": wanted.type.value,
        "selector": names.selector(index, names.GATEWAY),
        "ports": [{"name": name, "port": port, "protocol": "TCP", "targetPort": "http"}],
    }
    service = names.build_object(given, ports.SERVICE, index, names.labels(index, names.GATEWAY), spec=spec)
    if wanted.annotations:
        service["metadata"]["annotations"] = dict(wanted.annotations)
    return service


def build_shards(given: inputs.Inputs) -> inputs.Object:
    """Return the headless Service of all shards.

    It names pods before they are ready: a replica has to be reached while it still catches up.
    """
    index = given.index.metadata.name
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": names.selector(index, names.SHARD),
        "ports": [{"name": "grpc", "port": names.GRPC_PORT, "protocol": "TCP", "targetPort": "grpc"}],
    }
    labels = names.labels(index, names.SHARD)
    return names.build_object(given, ports.SERVICE, names.shards_service(index), labels, spec=spec)
