"""All manifests of an index as one value, each stamped with a digest of what it says."""

import hashlib
import json

from vectorfleet_runtime import parties

from .. import ports
from . import (
    certificate,
    config_map,
    deployment,
    inputs,
    names,
    network_policy,
    pod_disruption_budget,
    secret,
    service,
    service_account,
    stateful_set,
    vector_shard,
)


def build(given: inputs.Inputs) -> inputs.Desired:
    """Return every object that the index needs, in the order in which they are applied.

    What a pod mounts or is found by comes before the pod.
    """
    numbers = range(given.spec.shards)
    wanted = (
        service_account.build_shard(given),
        service_account.build_gateway(given),
        network_policy.build_shard(given),
        network_policy.build_gateway(given),
        secret.build_authority(given),
        *(secret.build_certificate(given, role) for role in parties.Role),
        *(certificate.build_internal(given, role) for role in parties.Role),
        certificate.build_public(given),
        secret.build_api_key(given),
        config_map.build_config_map(given),
        service.build_shards(given),
        service.build_client(given),
        *(vector_shard.build_vector_shard(given, number) for number in numbers),
        *(pod_disruption_budget.build_shard(given, number) for number in numbers),
        pod_disruption_budget.build_gateway(given),
        *(stateful_set.build_stateful_set(given, number) for number in numbers),
        deployment.build_deployment(given),
    )
    return inputs.Desired(tuple(_stamp(manifest) for manifest in wanted if manifest is not None))


def _stamp(manifest: inputs.Object) -> ports.Manifest:
    digests = {names.APPLIED_HASH: _digest(manifest)}
    metadata = manifest["metadata"]
    return manifest | {"metadata": metadata | {"annotations": metadata.get("annotations", {}) | digests}}


def _digest(value: inputs.Object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
