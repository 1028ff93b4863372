"""What the pods of shards and gateways share: identity, hardening, probes, configuration, a place to run."""

from vectorfleet_runtime import parties

from ..api import base, workload_spec
from . import config_map, inputs, names

USER = 65532  # the customary number of a user that is nobody
_READ_ONLY_BY_GROUP = 0o440
_CONFIG_DIR = "/etc/vectorfleet/config"
_INTERNAL_DIR = "/etc/vectorfleet/internal"


def build_template(
    given: inputs.Inputs, labels: dict[str, str], scheduling: workload_spec.Scheduling, **spec: object
) -> inputs.Object:
    """Return a hardened pod template with the fields of `spec`."""
    digest = config_map.config_hash(given, labels[names.LABEL_COMPONENT])
    annotations = given.spec.pod_annotations | {names.CONFIG_HASH: digest}
    hardened: inputs.Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if given.spec.image_pull_secrets:
        hardened["imagePullSecrets"] = [{"name": secret.name} for secret in given.spec.image_pull_secrets]
    return {
        "metadata": {"labels": given.spec.pod_labels | labels, "annotations": annotations},
        "spec": hardened | _place(scheduling, labels) | spec,
    }


def build_container(
    given: inputs.Inputs, name: str, command: str, resources: workload_spec.Resources
) -> inputs.Object:
    """Return a hardened container with the configuration that every process of the data plane reads."""
    container: inputs.Object = {
        "name": name,
        "image": given.spec.image.reference(given.image),
        "imagePullPolicy": given.spec.image.pull_policy.value,
        "command": [command],
        "env": [
            {"name": "VECTORFLEET_CONFIG", "value": f"{_CONFIG_DIR}/{config_map.ENTRY}"},
            build_field("VECTORFLEET_HOST", "status.podIP"),
            {"name": "VECTORFLEET_INTERNAL_TLS_DIR", "value": _INTERNAL_DIR},
            {"name": "VECTORFLEET_METRICS_PORT", "value": str(names.METRICS_PORT)},
        ],
        "ports": [{"name": "metrics", "containerPort": names.METRICS_PORT, "protocol": "TCP"}],
        "volumeMounts": [
            {"name": "config", "mountPath": _CONFIG_DIR, "readOnly": True},
            {"name": "internal", "mountPath": _INTERNAL_DIR, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  a volume of the pod's own
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return container | _probes() | _resources(resources)


def build_field(variable: str, path: str) -> inputs.Object:
    """Return an environment variable that holds a field of the pod."""
    return {"name": variable, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def build_volumes(index: str, role: parties.Role) -> list[inputs.Object]:
    """Return the volumes that every pod of a role mounts."""
    return [
        {"name": "config", "configMap": {"name": names.config(index)}},
        build_secret_volume("internal", names.certificate_secret(index, role)),
        {"name": "tmp", "emptyDir": {}},
    ]


def build_secret_volume(volume: str, secret: str) -> inputs.Object:
    """Return a volume with a Secret's entries, readable by the pod's group alone."""
    return {"name": volume, "secret": {"secretName": secret, "defaultMode": _READ_ONLY_BY_GROUP}}


def build_entry_volume(volume: str, entry: base.SecretKeyReference, file: str) -> inputs.Object:
    """Return a volume with one entry of a Secret as a file; empty while there is no such entry."""
    secret: inputs.Object = {
        "secretName": entry.name,
        "defaultMode": _READ_ONLY_BY_GROUP,
        "items": [{"key": entry.key, "path": file}],
        "optional": True,
    }
    return {"name": volume, "secret": secret}


def _probes() -> inputs.Object:
    alive = {"httpGet": {"path": "/health", "port": "metrics"}, "timeoutSeconds": 5}
    ready = {"httpGet": {"path": "/ready", "port": "metrics"}, "timeoutSeconds": 2}
    return {
        # A start may take minutes on a slow disk; only then is silence a fault.
        "startupProbe": alive | {"periodSeconds": 1, "failureThreshold": 300},
        "livenessProbe": alive | {"periodSeconds": 10, "failureThreshold": 3},
        "readinessProbe": ready | {"periodSeconds": 2, "failureThreshold": 2},
    }


def _resources(wanted: workload_spec.Resources) -> inputs.Object:
    parts = {"requests": dict(wanted.requests), "limits": dict(wanted.limits)}
    given = {name: amounts for name, amounts in parts.items() if amounts}
    return {"resources": given} if given else {}


def _place(wanted: workload_spec.Scheduling, labels: dict[str, str]) -> inputs.Object:
    place: inputs.Object = {"topologySpreadConstraints": _spread(wanted, labels)}
    if wanted.node_selector:
        place["nodeSelector"] = dict(wanted.node_selector)
    if wanted.tolerations:
        place["tolerations"] = [
            toleration.model_dump(by_alias=True, exclude_none=True) for toleration in wanted.tolerations
        ]
    if wanted.affinity is not None:
        place["affinity"] = wanted.affinity
    if wanted.priority_class_name is not None:
        place["priorityClassName"] = wanted.priority_class_name
    return place


def _spread(wanted: workload_spec.Scheduling, labels: dict[str, str]) -> list[inputs.Object]:
    if wanted.topology_spread_constraints is not None:
        return list(wanted.topology_spread_constraints)
    # All shards of an index together: two shards on one node share its fate and its cores.
    component = {name: labels[name] for name in (names.LABEL_INDEX, names.LABEL_COMPONENT)}
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": component},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
