"""The gateway's Deployment."""

from vectorfleet_runtime import parties

from .. import ports
from . import gateway_settings, inputs, names, pod, service_keys, token_keys

_KEYS_DIR = "/etc/vectorfleet/api-keys"
_TLS_DIR = "/etc/vectorfleet/tls"


def build_deployment(given: inputs.Inputs) -> inputs.Object:
    """Return the Deployment; without `replicas` where the spec leaves the number to others."""
    index, gateway = given.index.metadata.name, given.spec.gateway
    public = names.public_secret(given.index)
    spec: inputs.Object = {
        "revisionHistoryLimit": 3,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
        "selector": {"matchLabels": names.selector(index, names.GATEWAY)},
        "template": pod.build_template(
            given,
            names.labels(index, names.GATEWAY),
            gateway.scheduling,
            serviceAccountName=names.gateway(index),
            terminationGracePeriodSeconds=30,
            containers=[_container(given)],
            volumes=[
                *pod.build_volumes(index, parties.Role.GATEWAY),
                pod.build_secret_volume("api-keys", names.api_key_secret(given.index)),
                *service_keys.build_volumes(given),
                *([pod.build_secret_volume("tls", public)] if public else []),
                *token_keys.build_volumes(given.spec.gateway.auth),
            ],
        ),
    }
    if gateway.replicas is not None:
        spec["replicas"] = gateway.replicas
    labels = names.labels(index, names.GATEWAY)
    return names.build_object(given, ports.DEPLOYMENT, names.gateway(index), labels, spec=spec)


def _container(given: inputs.Inputs) -> inputs.Object:
    container = pod.build_container(given, "gateway", "vectorfleet-gateway", given.spec.gateway.resources)
    container["env"] += [
        {"name": "VECTORFLEET_HTTP_PORT", "value": str(names.HTTP_PORT)},
        {"name": "VECTORFLEET_API_KEYS_DIR", "value": _KEYS_DIR},
        *gateway_settings.build_variables(given.spec.gateway),
    ]
    container["ports"].append({"name": "http", "containerPort": names.HTTP_PORT, "protocol": "TCP"})
    container["volumeMounts"].append({"name": "api-keys", "mountPath": _KEYS_DIR, "readOnly": True})
    container["env"] += service_keys.build_variables(given)
    container["volumeMounts"] += service_keys.build_mounts(given)
    if given.spec.gateway.tls is not None:
        container["env"].append({"name": "VECTORFLEET_TLS_DIR", "value": _TLS_DIR})
        container["volumeMounts"].append({"name": "tls", "mountPath": _TLS_DIR, "readOnly": True})
    token_keys.add_to(container, given.spec.gateway.auth)
    # Endpoints forget a stopping pod a moment after its stop begins; till then it goes on serving.
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 3}}}
    return container
