"""Small workloads that show whether the cluster itself works: a web server with a volume, a client. PURE."""

from __future__ import annotations

from typing import Any

PORT = 8080
USER = 65532
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
# Each start leaves a line in the volume.
SERVE = f"hostname >> /data/starts && exec python3 -m http.server {PORT} --directory /data"


def build_web(namespace: str, image: str, replicas: int) -> list[dict[str, Any]]:
    """A StatefulSet `web` with a volume for each pod, one pod a node, and its headless Service."""
    selector = {"app": "web"}
    container = {
        "name": "web",
        "image": image,
        "command": ["sh", "-c", SERVE],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/starts", "port": "http"}, "periodSeconds": 1},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    spec = {
        "serviceName": "web",
        "replicas": replicas,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": selector},
        "template": {"metadata": {"labels": selector}, "spec": _pod_spec(container, selector)},
        "volumeClaimTemplates": [claim],
    }
    service = {"clusterIP": "None", "selector": selector, "ports": [{"name": "http", "port": PORT}]}
    return [
        _object("v1", "Service", "web", namespace, service),
        _object("v1", "Service", "web-vip", namespace, {"selector": selector, "ports": [{"port": PORT}]}),
        _object("apps/v1", "StatefulSet", "web", namespace, spec),
    ]


def build_client(namespace: str, name: str, image: str, node: str) -> dict[str, Any]:
    """A pod on one node that waits to be told what to run."""
    container = {
        "name": "client",
        "image": image,
        "command": ["sleep", "infinity"],
        "securityContext": CONTAINER_SECURITY,
    }
    spec = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 0,
        "securityContext": POD_SECURITY,
        "containers": [container],
    }
    made = _object("v1", "Pod", name, namespace, spec)
    made["metadata"]["labels"] = {"app": name}
    return made


def build_policy(namespace: str, allowed: str) -> dict[str, Any]:
    """Only pods labelled app=`allowed` may reach `web`."""
    rule = {"from": [{"podSelector": {"matchLabels": {"app": allowed}}}], "ports": [{"port": "http"}]}
    spec = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [rule]}
    return _object("networking.k8s.io/v1", "NetworkPolicy", "web", namespace, spec)


def _pod_spec(container: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    apart = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    return {
        "terminationGracePeriodSeconds": 1,
        "securityContext": POD_SECURITY,
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "containers": [container],
    }


def _object(version: str, kind: str, name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
