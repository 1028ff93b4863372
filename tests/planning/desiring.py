"""The manifests of an index with this or that in its spec."""

import pathlib

from vectorfleet_operator import certificates, pki
from vectorfleet_operator.api import parse
from vectorfleet_operator.desired import build, inputs
from vectorfleet_runtime import parties

IMAGE = "vectorfleet/data-plane:0.1.0"
GOLDEN = pathlib.Path(__file__).parent / "golden" / "products.yaml"
IMAGE = "vectorfleet/data-plane:0.1.0"
FULL = {
    "model": {"name": "all-MiniLM-L6-v2", "revision": "1", "dimensions": 384},
    "metric": "dotproduct",
    "index": {"type": "hnsw", "profile": "recall"},
    "quantization": {"type": "sq8", "rescore": {"oversampling": 6}, "recallFloor": 0.95},
    "vectors": [{"name": "title", "dimensions": 128, "lateInteraction": True}],
    "schema": {
        "fields": [{"name": "section", "type": "keyword"}, {"name": "published", "type": "datetime"}],
        "text": ["title", "body"],
        "language": "german",
        "bm25": {"k1": 1.5},
    },
    "embedder": {
        "url": "https://embedder.models.svc/v1",
        "secretRef": {"name": "embedder", "key": "token"},
        "query": {"prefix": "query: "},
        "document": {"inputType": "passage"},
        "requestsPerSecond": 50,
    },
    "reranker": {"url": "http://reranker/v1", "model": "r", "secretRef": {"name": "reranker", "key": "k"}},
    "shards": 2,
    "resources": {"requests": {"cpu": 1, "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
    "storage": {"size": "20Gi", "storageClassName": "fast", "deletionPolicy": "Delete"},
    "gateway": {
        "replicas": 2,
        "cache": {"size": "128Mi", "maxStaleSeconds": 2},
        "limits": {"requests": 1000, "bodySize": "8Mi", "requestTimeoutSeconds": 10},
        "log": {"level": "WARNING", "audit": "all"},
        "openDocs": True,
        "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}},
        "scheduling": {"nodeSelector": {"role": "edge"}},
        "service": {"type": "LoadBalancer", "annotations": {"cloud/internal": "true"}},
    },
    "image": {"tag": "0.1.1", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "scheduling": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "vectors", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
    },
    "podLabels": {"team": "search"},
    "podAnnotations": {"note": "hello"},
}


INTERNAL = certificates.Internal(
    (pki.Pair("authority", "authority's key"), pki.Pair("authority before", "its key")),
    "trusted",
    {role: pki.Pair(f"certificate of {role}", f"key of {role}") for role in parties.Role},
)


def build_inputs(api_key="key", **spec):
    """Return the inputs of an index with these fields in its spec."""
    manifest = {
        "metadata": {"name": "products", "namespace": "shop", "uid": "uid-1"},
        "spec": {"model": {"name": "m", "dimensions": 3}} | spec,
    }
    parsed = parse.parse_index(manifest)
    internal = None if parsed.spec.internal_tls.issuer_ref else INTERNAL
    return inputs.Inputs(parsed, inputs.Credentials(internal, api_key), IMAGE)


def build_all(**given):
    """Return the index's manifests by kind and name."""
    return {
        (one["kind"], one["metadata"]["name"]): one for one in build.build(build_inputs(**given)).manifests
    }


def pod_specs(manifests):
    """Return the specs of all pods that the manifests ask for."""
    return [
        one["spec"]["template"]["spec"] for one in manifests.values() if "template" in one.get("spec", {})
    ]
