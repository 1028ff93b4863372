"""Names, labels and addresses of everything that belongs to an index.

Names are static per generation, so that a gateway can start from a file and a shard's address never moves.
"""

from vectorfleet_runtime import parties

from .. import ports
from ..api import vector_index
from . import inputs as inputs_

GROUP = "vectorfleet.io"
GENERATION = "g1"
GRPC_PORT = 7400
HTTP_PORT = 8080
METRICS_PORT = 9090

LABEL_INDEX = f"{GROUP}/index"
LABEL_GENERATION = f"{GROUP}/generation"
LABEL_SHARD = f"{GROUP}/shard"
LABEL_COMPONENT = "app.kubernetes.io/component"
APPLIED_HASH = f"{GROUP}/applied-hash"
CONFIG_HASH = f"{GROUP}/config-hash"
DELETION_PROTECTION = f"{GROUP}/deletion-protection"
TAGS = f"{GROUP}/tags"
REQUESTED_SPEC = f"{GROUP}/requested-spec"

SHARD = "shard"
GATEWAY = "gateway"


def shard(index: str, number: int) -> str:
    """Return the name of a shard's StatefulSet, budget and VectorShard."""
    return f"{index}-{GENERATION}-s{number}"


def replica(index: str, number: int, ordinal: int) -> str:
    """Return the name of a replica's pod."""
    return f"{shard(index, number)}-{ordinal}"


def replica_address(key: ports.Key, number: int, ordinal: int) -> str:
    """Return where a replica listens for gRPC, as host:port."""
    return pod_address(key, replica(key.name, number, ordinal))


def pod_address(key: ports.Key, pod: str) -> str:
    """Return where the replica of that name listens for gRPC, as host:port."""
    return f"{pod}.{shards_service(key.name)}.{key.namespace}.svc:{GRPC_PORT}"


def shards_service(index: str) -> str:
    """Return the name of the headless Service that gives replicas their addresses."""
    return f"{index}-shards"


def gateway(index: str) -> str:
    """Return the name of the gateway's Deployment, budget and ServiceAccount."""
    return f"{index}-gateway"


def shard_account(index: str) -> str:
    """Return the name of the shards' ServiceAccount."""
    return f"{index}-shard"


def config(index: str) -> str:
    """Return the name of the ConfigMap."""
    return f"{index}-config"


def api_key_secret(index: vector_index.VectorIndex) -> str:
    """Return the name of the Secret with the valid API keys."""
    given = index.spec.gateway.auth.secret_ref
    return given.name if given else f"{index.metadata.name}-api-key"


def authority_secret(index: str) -> str:
    """Return the name of the Secret with the authority that signs an index's certificates."""
    return f"{index}-ca"


def certificate_secret(index: str, role: parties.Role) -> str:
    """Return the name of the Secret with the certificate that a role shows inside of an index."""
    return f"{index}-{role}-tls"


def public_secret(index: vector_index.VectorIndex) -> str | None:
    """Return the name of the Secret with the certificate of the public port, None where it speaks HTTP."""
    tls = index.spec.gateway.tls
    if tls is None:
        return None
    return tls.secret_ref.name if tls.secret_ref else f"{index.metadata.name}-public-tls"


def public_names(key: ports.Key) -> tuple[str, ...]:
    """Return the names by which clients in the cluster reach the API."""
    service = f"{key.name}.{key.namespace}.svc"
    return (key.name, f"{key.name}.{key.namespace}", service, f"{service}.cluster.local")


def endpoint(index: vector_index.VectorIndex) -> str:
    """Return the URL of the API inside the cluster."""
    scheme = "http" if index.spec.gateway.tls is None else "https"
    return f"{scheme}://{index.metadata.name}.{index.metadata.namespace}.svc"


def key(index: vector_index.VectorIndex) -> ports.Key:
    """Return what names the index."""
    return ports.Key(index.metadata.namespace, index.metadata.name)


def index_labels(index: str) -> dict[str, str]:
    """Return the labels by which everything of an index is found."""
    return {LABEL_INDEX: index}


def labels(index: str, component: str | None = None, number: int | None = None) -> dict[str, str]:
    """Return the labels of an object that belongs to an index, a component of it, or one shard."""
    given = {
        "app.kubernetes.io/name": "vectorfleet",
        "app.kubernetes.io/instance": index,
        "app.kubernetes.io/managed-by": "vectorfleet-operator",
        "app.kubernetes.io/part-of": "vectorfleet",
    } | index_labels(index)
    if component is not None:
        given |= {LABEL_COMPONENT: component}
    if number is not None:
        given |= {LABEL_GENERATION: GENERATION, LABEL_SHARD: str(number)}
    return given


def selector(index: str, component: str, number: int | None = None) -> dict[str, str]:
    """Return the few labels, never to change, that select the pods of a component or one shard."""
    chosen = index_labels(index) | {LABEL_COMPONENT: component}
    if number is not None:
        chosen |= {LABEL_GENERATION: GENERATION, LABEL_SHARD: str(number)}
    return chosen


def owner(index: vector_index.VectorIndex) -> inputs_.Object:
    """Return the reference by which Kubernetes deletes what belongs to a deleted index."""
    return {
        "apiVersion": ports.VECTOR_INDEX.api_version,
        "kind": ports.VECTOR_INDEX.kind,
        "name": index.metadata.name,
        "uid": index.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def build_object(
    given: inputs_.Inputs, kind: ports.Kind, name: str, labels: dict[str, str], **body: object
) -> inputs_.Object:
    """Return a manifest of `kind` that belongs to the index, with the fields of `body`."""
    metadata = {
        "name": name,
        "namespace": given.index.metadata.namespace,
        "labels": labels,
        "ownerReferences": [owner(given.index)],
    }
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata} | body
