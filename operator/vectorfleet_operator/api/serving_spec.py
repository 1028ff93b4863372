"""How an index is served: consistency, gateway."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from . import base, workload_spec


class WriteConsistency(StrEnum):
    """How many replicas hold a write on disk before it is acknowledged."""

    QUORUM = "quorum"
    ALL = "all"


class Consistency(base.Part):
    """What an acknowledged write promises."""

    write: WriteConsistency = Field(
        default=WriteConsistency.QUORUM,
        description="quorum: a write is acknowledged once a majority of a shard's replicas holds it on disk. "
        "all: once every replica does, so that writes wait while one is away. May be changed at any time.",
    )


class Auth(base.Part):
    """Who may use the index."""

    secret_ref: base.NameReference | None = Field(
        default=None,
        description="Secret whose entries are the valid API keys, several at once where keys are rotated. "
        "Where not given, the operator makes one in the Secret <index>-api-key, entry api-key.",
    )


class Tls(base.Part):
    """TLS on the public port."""

    secret_ref: base.NameReference | None = Field(
        default=None, description="Secret of type kubernetes.io/tls with the certificate to serve."
    )


class ServiceType(StrEnum):
    """How the client Service is reached."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class ClientService(base.Part):
    """The Service that clients talk to."""

    type: ServiceType = Field(
        default=ServiceType.CLUSTER_IP, description="ClusterIP, NodePort or LoadBalancer."
    )
    annotations: dict[str, str] = Field(
        default={},
        max_length=64,
        description="Annotations of the Service, such as a cloud's load balancer wants.",
    )


class Gateway(base.Part):
    """The stateless front door: authentication, routing, merging."""

    replicas: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Number of gateway pods. Where not given, the operator leaves the number alone, so that "
        "a HorizontalPodAutoscaler may own it; Kubernetes then starts with one.",
    )
    resources: workload_spec.Resources = Field(
        default=workload_spec.Resources(), description="Compute resources of each gateway pod."
    )
    scheduling: workload_spec.Scheduling = Field(
        default=workload_spec.Scheduling(), description="Where gateway pods may run."
    )
    auth: Auth = Field(default=Auth(), description="Who may use the index.")
    tls: Annotated[Tls | None, base.Later()] = Field(
        default=None, description="TLS on the public port; plain HTTP where not given. Not supported yet."
    )
    service: ClientService = Field(default=ClientService(), description="The Service that clients talk to.")
