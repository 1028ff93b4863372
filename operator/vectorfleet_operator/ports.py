"""The ports of the operator: what its decisions need of the world, as protocols.

Adapters implement them: Kubernetes or processes on this machine behind `Cluster`, gRPC behind `Shards`.
Nothing here knows which one it talks to. `Ports` is all of them, and the only way out of a decision.
"""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any, Protocol

from . import replication

Manifest = Mapping[str, Any]
"""A Kubernetes object as plain JSON values: apiVersion, kind, metadata and the rest."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of object and the plural name that its URL uses."""

    api_version: str
    kind: str
    plural: str


VECTOR_INDEX = Kind("vectorfleet.io/v1alpha1", "VectorIndex", "vectorindexes")
VECTOR_SHARD = Kind("vectorfleet.io/v1alpha1", "VectorShard", "vectorshards")
STATEFUL_SET = Kind("apps/v1", "StatefulSet", "statefulsets")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
SERVICE = Kind("v1", "Service", "services")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
SECRET = Kind("v1", "Secret", "secrets")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
PERSISTENT_VOLUME_CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
POD = Kind("v1", "Pod", "pods")
POD_DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
CERTIFICATE = Kind("cert-manager.io/v1", "Certificate", "certificates")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")

OWNED = (
    STATEFUL_SET, DEPLOYMENT, SERVICE, CONFIG_MAP, SECRET, SERVICE_ACCOUNT, POD_DISRUPTION_BUDGET,
    NETWORK_POLICY, POD, PERSISTENT_VOLUME_CLAIM,
)  # fmt: skip
"""What there is because of an index: watched, and read in each pass. VectorShards are another matter."""

KINDS: dict[str, Kind] = {
    kind.kind: kind
    for kind in (
        VECTOR_INDEX, VECTOR_SHARD, STATEFUL_SET, DEPLOYMENT, SERVICE, CONFIG_MAP, SECRET, SERVICE_ACCOUNT,
        PERSISTENT_VOLUME_CLAIM, POD, POD_DISRUPTION_BUDGET, NETWORK_POLICY, CERTIFICATE,
    )
}  # fmt: skip


class Cluster(Protocol):
    """Where objects live and come to life.

    Every call may raise `errors.Transient` (try again later; nothing is known of the outcome) or
    `errors.Rejected` (the object will never be accepted as it is; the message says why).
    """

    async def apply(self, manifest: Manifest) -> Manifest:
        """Make the object's fields that `manifest` names equal to it, creating the object where missing.

        Fields that an earlier apply named and this one does not are removed (server-side apply, one field
        manager, forced). A list that `manifest` names ends up as it names it, without what others added.
        Returns the object as stored, with uid and resourceVersion.
        """

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """Return the object as it is now, or None where there is none."""

    async def list(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> tuple[Manifest, ...]:
        """Return the objects that carry all of `labels`, freshly read, ordered by name."""

    async def delete(self, manifest: Manifest, *, orphan: bool = False) -> None:
        """Delete exactly this object: one of the same name but another uid stays. Missing is fine.

        What belongs to it goes with it, unless it is to be orphaned.
        """

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Make the object's status equal to `manifest["status"]`; the object must exist.

        Where `manifest` carries a metadata.resourceVersion that is not the object's any more, nothing is
        written and `errors.Transient` is raised: a compare-and-swap. Returns the object as stored.
        """

    async def emit(self, event: "Event") -> None:
        """Record an event beside its object. Losing one is no error."""


class Catalog(Cluster, Protocol):
    """A cluster in which objects are made and changed for users: nobody's object is taken over."""

    async def create(self, manifest: Manifest) -> Manifest:
        """Make an object; where one of that name exists, raise `errors.Taken`. Returns it as stored."""

    async def replace(self, manifest: Manifest) -> Manifest:
        """Make an object equal to `manifest`, as long as it is at the resourceVersion that this carries.

        Else `errors.Changed` is raised. Returns the object as stored.
        """


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened to an object, for `kubectl describe`."""

    about: Manifest
    reason: str
    message: str
    warning: bool = False


@dataclasses.dataclass(frozen=True)
class ShardCondition:
    """Something about a shard replica that is not as it should be, by its own word."""

    type: str
    reason: str
    message: str


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """What one shard replica says of itself; sizes in bytes."""

    pod: str
    epoch: int
    seq: int
    rows: int
    unindexed_rows: int
    segments: int
    memory_bytes: int
    disk_bytes: int
    building: bool
    version: str
    problem: str
    conditions: tuple[ShardCondition, ...] = ()
    replica: replication.ReplicaState | None = None
    """Its part in the shard; None of a version that knows of no replication."""


class Shards(Protocol):
    """The shard nodes, asked one by one, at their addresses (host:port).

    `token` is what the operator shows to shards of the index, see `credentials.shown`.

    None is silence: the call may have been carried out or not.
    """

    async def state(self, address: str, token: str) -> replication.Told | None:
        """Return a replica's part in its shard: cheap, and answered at once or not at all."""

    async def report(self, address: str, token: str) -> ShardReport | None:
        """Return the report of a replica."""

    async def seal(
        self, address: str, token: str, epoch: int, disk: str, *, begins: bool
    ) -> replication.Sealed | None:
        """Let a replica promise an epoch and tell its last record; one that `begins` must be empty."""

    async def lead(
        self, address: str, token: str, configuration: replication.Configuration, seconds: float
    ) -> replication.Led | None:
        """Let a sealed replica ship its log, and wait up to `seconds` until enough members hold it."""

    async def configure(
        self,
        address: str,
        token: str,
        configuration: replication.Configuration,
        learners: tuple[replication.Member, ...],
    ) -> int | None:
        """Tell a committed configuration; return the epoch of the newest that the replica knows."""

    async def rebuild(self, address: str, token: str, disk: str, epoch: int) -> str | None:
        """Let a replica give up the data of `disk`; return the new disk."""


class Clock(Protocol):
    """Time, as a value that tests can choose."""

    def now(self) -> datetime.datetime:
        """Return the present moment, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that only grow, to measure spans of time by."""


class Entropy(Protocol):
    """Chance, as a port, so that everything else repeats itself."""

    def secret(self) -> str:
        """Return a new secret of at least 256 bits, in characters that a header may hold."""


@dataclasses.dataclass(frozen=True)
class Network:
    """What NetworkPolicies have to know of the cluster around an index."""

    operator_namespace: str
    operator_labels: Mapping[str, str]
    """Of the operator's own pods."""
    metrics_from: tuple[Manifest, ...] = ()
    """NetworkPolicyPeers that may scrape metrics."""


@dataclasses.dataclass(frozen=True)
class Ports:
    """Everything that a pass of the operator may touch."""

    cluster: Cluster
    shards: Shards
    clock: Clock
    entropy: Entropy
    network: Network | None = None
    """None where no NetworkPolicies are wanted."""


@dataclasses.dataclass(frozen=True)
class Key:
    """Names one VectorIndex."""

    namespace: str
    name: str
