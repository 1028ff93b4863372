"""The StatefulSet of one shard: a pod and a volume for each replica."""

from vectorfleet_runtime import parties

from .. import ports
from . import inputs, names, pod

DATA = "data"
_DATA_DIR = "/var/lib/vectorfleet"
_GRACE_SECONDS = 60
"""A primary that is told to stop serves until its place is taken, at most for so long."""


def build_stateful_set(given: inputs.Inputs, number: int) -> inputs.Object:
    """Return the StatefulSet of shard `number`."""
    index, storage = given.index.metadata.name, given.spec.storage
    spec = {
        "serviceName": names.shards_service(index),
        "replicas": given.copies.get(number, given.spec.replicas),
        # Readiness of one replica may depend on another's start, so they never wait in line.
        "podManagementPolicy": "Parallel",
        # The operator restarts pods itself: a primary first hands over, and one member at a time is away.
        "updateStrategy": {"type": "OnDelete"},
        "revisionHistoryLimit": 3,
        "persistentVolumeClaimRetentionPolicy": {
            "whenDeleted": storage.deletion_policy.value,
            "whenScaled": "Retain",
        },
        "selector": {"matchLabels": names.selector(index, names.SHARD, number)},
        "template": _template(given, number),
        "volumeClaimTemplates": [_claim(given, number)],
    }
    labels = names.labels(index, names.SHARD, number)
    return names.build_object(given, ports.STATEFUL_SET, names.shard(index, number), labels, spec=spec)


def _template(given: inputs.Inputs, number: int) -> inputs.Object:
    index = given.index.metadata.name
    return pod.build_template(
        given,
        names.labels(index, names.SHARD, number),
        given.spec.scheduling,
        serviceAccountName=names.shard_account(index),
        terminationGracePeriodSeconds=_GRACE_SECONDS,
        containers=[_container(given, number)],
        volumes=pod.build_volumes(index, parties.Role.SHARD),
    )


def _container(given: inputs.Inputs, number: int) -> inputs.Object:
    container = pod.build_container(given, "shard", "vectorfleet-shardnode", given.spec.resources)
    container["env"] += [
        {"name": "VECTORFLEET_SHARD", "value": str(number)},
        {"name": "VECTORFLEET_DATA_DIR", "value": _DATA_DIR},
        {"name": "VECTORFLEET_GRPC_PORT", "value": str(names.GRPC_PORT)},
        pod.build_field("VECTORFLEET_POD_NAME", "metadata.name"),
        {"name": "VECTORFLEET_REPLICATED", "value": "true"},
        *({"name": name, "value": value} for name, value in given.spec.storage.tuning.environment().items()),
    ]
    container["ports"].append({"name": "grpc", "containerPort": names.GRPC_PORT, "protocol": "TCP"})
    container["volumeMounts"].append({"name": DATA, "mountPath": _DATA_DIR})
    return container


def _claim(given: inputs.Inputs, number: int) -> inputs.Object:
    storage = given.spec.storage
    spec: inputs.Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.size}},
    }
    if storage.storage_class_name is not None:
        spec["storageClassName"] = storage.storage_class_name
    # A StatefulSet refuses any later change here, labels included: only what never changes.
    labels = names.selector(given.index.metadata.name, names.SHARD, number)
    return {"metadata": {"name": DATA, "labels": labels}, "spec": spec}
