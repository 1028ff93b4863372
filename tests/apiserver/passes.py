"""An index on the API server, and passes of the operator over it."""

from vectorfleet_operator import lookout, ports, reconcile
from vectorfleet_operator.adapters import shards, system

IMAGE = "vectorfleet/data-plane:0.1.0"
SERVED = [kind for kind in ports.KINDS.values() if kind is not ports.CERTIFICATE]  # cert-manager is not here
KEY = ports.Key("default", "products")
INDEX = {
    "apiVersion": "vectorfleet.io/v1alpha1",
    "kind": "VectorIndex",
    "metadata": {"name": "products", "namespace": "default"},
    "spec": {
        "model": {"name": "m", "dimensions": 3},
        "shards": 2,
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"memory": "1.5Gi"}},
        "storage": {"size": "1024Mi", "storageClassName": "fast"},
        "gateway": {
            "replicas": 2,
            "resources": {"requests": {"cpu": 1}},
            "service": {"type": "NodePort", "annotations": {"a": "b"}},
        },
        "imagePullSecrets": [{"name": "registry"}],
        "scheduling": {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}},
            "priorityClassName": "high",
        },
        "podLabels": {"team": "search"},
        "podAnnotations": {"note": "hello"},
    },
}


async def take_pass(server):
    """Take one pass over the index."""
    return await reconcile.reconcile(build_operator(server), KEY)


def build_operator(server):
    """Return an operator that works on a cluster."""
    nodes, clock = shards.GrpcShards(), system.SystemClock()
    given = ports.Ports(server, nodes, clock, system.SystemEntropy())
    return reconcile.Operator(given, lookout.Lookout(nodes, clock), IMAGE)


async def versions(server):
    """Return the version of every object of the index."""
    listed = [await server.list(kind, "default", {}) for kind in SERVED]
    return {
        (one["kind"], one["metadata"]["name"]): one["metadata"]["resourceVersion"]
        for kind in listed
        for one in kind
    }
