"""What the pods of a workload are, and what there is to tell of them, as objects. PURE."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ... import ports
from . import pod

REVISION = "controller-revision-hash"
"""The label that says of which template a pod is, as a StatefulSet's controller writes it."""
Key = tuple[str, str]
"""Namespace and name of a pod."""


def pod_keys(owner: Mapping[str, Any]) -> tuple[Key, ...]:
    """Return the pods that a workload wants, by ordinal."""
    metadata, count = owner["metadata"], owner["spec"].get("replicas", 1)
    return tuple((metadata["namespace"], f"{metadata['name']}-{n}") for n in range(count))


def revision_of(owner: Mapping[str, Any]) -> str:
    """Return a digest of a workload's pod template."""
    template = json.dumps(owner["spec"]["template"], sort_keys=True)
    return hashlib.sha256(template.encode()).hexdigest()[:10]


def claims_of(owner: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a workload's claim templates."""
    return tuple(claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates") or ())


def root_of(owner: Mapping[str, Any]) -> str:
    """Return the uid of what a workload belongs to, its own where it belongs to nothing."""
    above = owner["metadata"].get("ownerReferences") or [owner["metadata"]]
    return str(above[0]["uid"])


def restarts_on_delete(owner: Mapping[str, Any]) -> bool:
    """Return whether a changed template waits until somebody deletes the pods."""
    strategy = owner["spec"].get("updateStrategy") or {}
    return bool(strategy.get("type") == "OnDelete")


def build_pod(who: pod.Identity, owner: Mapping[str, Any], revision: str) -> dict[str, Any]:
    """Return the Pod object of a process: enough to list and to understand it."""
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
    reference |= {field: owner["metadata"][field] for field in ("name", "uid")}
    metadata = {
        "name": who.name,
        "namespace": who.namespace,
        "labels": {**owner["spec"]["template"]["metadata"].get("labels", {}), REVISION: revision},
        "ownerReferences": [reference],
    }
    return {"apiVersion": ports.POD.api_version, "kind": ports.POD.kind, "metadata": metadata}


def build_pod_status(who: pod.Identity, *, ready: bool, problem: str, trouble: str) -> dict[str, Any]:
    """Return the status of a Pod.

    Args:
        who: its name and address.
        ready: whether it serves.
        problem: why its process does not run; empty where it does.
        trouble: why it is not ready, be it that or what its probe says; empty where it is.
    """
    waiting = {"waiting": {"reason": "NotRunning", "message": problem}} if problem and not ready else {}
    return {
        "podIP": who.address,
        "conditions": [{"type": "Ready", "status": str(ready), "message": trouble}],
        "containerStatuses": [{"ready": ready, "state": waiting}],
    }


def build_workload_status(owner: Mapping[str, Any], ready: int, updated: int) -> dict[str, Any]:
    """Return the status of a StatefulSet or Deployment from how many of its pods are ready, and are new."""
    return {
        "observedGeneration": owner["metadata"]["generation"],
        "replicas": owner["spec"].get("replicas", 1),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "updatedReplicas": updated,
        "updateRevision": revision_of(owner),
    }


def names_of(service: Mapping[str, Any], pods: tuple[dict[str, Any], ...]) -> dict[str, str]:
    """Return the names that cluster DNS has for a Service: its own, or its pods' where it is headless."""
    metadata, spec = service["metadata"], service["spec"]
    suffix = f"{metadata['name']}.{metadata['namespace']}.svc"
    selector = (spec.get("selector") or {}).items()
    addresses = {
        one["metadata"]["name"]: one["status"]["podIP"]
        for one in pods
        if one["metadata"]["namespace"] == metadata["namespace"]
        and selector <= one["metadata"]["labels"].items()
        and "status" in one
    }
    if spec.get("clusterIP") == "None":
        return {f"{name}.{suffix}": address for name, address in addresses.items()}
    return {suffix: addresses[min(addresses)]} if addresses else {}
