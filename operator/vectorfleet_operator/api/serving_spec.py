"""How an index is served: consistency, gateway."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from vectorfleet_shardnode.api import config

from . import base, gateway_spec, workload_spec

_ONE_OF_TWO = "name either the secretRef of a certificate or the issuerRef that signs one"


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


class TokenAlgorithm(StrEnum):
    """How tokens may be signed."""

    RS256 = "RS256"
    PS256 = "PS256"
    ES256 = "ES256"
    ES384 = "ES384"
    EDDSA = "EdDSA"


class TokenRole(StrEnum):
    """The most that tokens may grant."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class CallerLimits(base.Part):
    """How much one caller may ask of each gateway."""

    requests_per_second: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        default=None, description="On average."
    )
    burst: Annotated[float, Field(ge=1, le=1e9)] | None = Field(
        default=None, description="Requests at once after a pause; those of a second unless given."
    )
    rows_per_second: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        default=None, description="Upserted, on average."
    )
    requests_per_day: Annotated[int, Field(ge=1, le=10**12)] | None = Field(
        default=None, description="From midnight to midnight, UTC."
    )


_ONE_KEY_SET = "name either the secretRef or the url of the issuer's keys"


class Jwt(base.Part):
    """Tokens of an issuer, as another way in."""

    cel_rules: ClassVar[tuple[base.Rule, ...]] = (
        base.Rule("has(self.secretRef) != has(self.url)", _ONE_KEY_SET),
    )

    secret_ref: base.SecretKeyReference | None = Field(
        default=None, description="Entry of a Secret with the issuer's keys, a JWKS; a change is followed."
    )
    url: Annotated[str, Field(max_length=2048, pattern=r"^https://[^\s]+$")] | None = Field(
        default=None, description="https URL of the issuer's keys; asked anew when they change."
    )
    audience: base.ShortText = Field(description="What `aud` of tokens has to hold.")
    issuer: Annotated[str, Field(max_length=2048)] = Field(
        default="", description="What `iss` has to be; any where not given."
    )
    algorithms: tuple[TokenAlgorithm, ...] = Field(
        default=(TokenAlgorithm.RS256, TokenAlgorithm.EDDSA),
        min_length=1,
        max_length=5,
        description="How tokens may be signed.",
    )
    role_claim: base.ShortText = Field(default="role", description="Claim that names read, write or admin.")
    namespaces_claim: base.ShortText = Field(
        default="namespaces", description="Claim that lists namespaces; a token without it may use all."
    )
    max_role: TokenRole = Field(default=TokenRole.WRITE, description="The most that a token grants.")
    limits: CallerLimits | None = Field(
        default=None,
        description="What each `sub` may ask, whatever its tokens; all it likes where not given.",
    )

    def broken_rule(self) -> str:
        """Return why it is not clear where the keys are, or an empty string."""
        return "" if (self.secret_ref is None) != (self.url is None) else _ONE_KEY_SET


class Auth(base.Part):
    """Who may use the index."""

    secret_ref: base.NameReference | None = Field(
        default=None,
        description="Secret whose entries are the valid API keys, several at once where keys are rotated. "
        "Where not given, the operator makes one in the Secret <index>-api-key, entry api-key.",
    )
    jwt: Jwt | None = Field(default=None, description="Tokens of an issuer, beside the API keys.")


class IssuerReference(base.Part):
    """An issuer of cert-manager."""

    name: base.ObjectName = Field(description="Name of the issuer.")
    kind: base.ShortText = Field(
        default="Issuer", description="Issuer, ClusterIssuer, or one of another group."
    )
    group: base.ShortText = Field(default="cert-manager.io", description="API group of the issuer.")


class Tls(base.Part):
    """TLS on the public port."""

    cel_rules: ClassVar[tuple[base.Rule, ...]] = (
        base.Rule("has(self.secretRef) != has(self.issuerRef)", _ONE_OF_TWO),
    )

    secret_ref: base.NameReference | None = Field(
        default=None,
        description="Secret of type kubernetes.io/tls with the certificate to serve; a renewed one is served "
        "without a restart.",
    )
    issuer_ref: IssuerReference | None = Field(
        default=None,
        description="Issuer of cert-manager that signs the certificate, for the Service's names.",
    )
    dns_names: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = Field(
        default=(), max_length=32, description="More names in a certificate of issuerRef."
    )

    def broken_rule(self) -> str:
        """Return why it is not clear whose certificate is to be served, or an empty string."""
        return "" if (self.secret_ref is None) != (self.issuer_ref is None) else _ONE_OF_TWO


class InternalTls(base.Part):
    """TLS between gateway, shards and operator."""

    issuer_ref: IssuerReference | None = Field(
        default=None,
        description="Issuer of cert-manager that signs their certificates. Where not given, the operator "
        "does, by an authority of the index's own in the Secret <index>-ca.",
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


class ResultCache(base.Part):
    """Answers that each gateway keeps; one is given again only while the shards stand where they stood."""

    size: base.Quantity = Field(default="64Mi", description="Memory for answers, of one gateway.")
    max_age_seconds: int = Field(
        default=300, ge=1, le=86_400, description="Seconds after which an answer is made anew in any case."
    )
    max_stale_seconds: int = Field(
        default=0,
        ge=0,
        le=3_600,
        description="Seconds for which an answer may be given without asking the shards whether it still "
        "holds. 0 asks each time, so that no answer is older than its question.",
    )

    def broken_rule(self) -> str:
        """Return why no cache can be so small, or an empty string."""
        return "" if workload_spec.amount(self.size) >= 2**20 else "size is at least 1Mi"

    def settled(self) -> config.ResultCache:
        """Return the cache as the data plane reads it."""
        return config.ResultCache(
            max_bytes=min(int(workload_spec.amount(self.size)), 2**40),
            max_age_seconds=self.max_age_seconds,
            max_stale_seconds=self.max_stale_seconds,
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
    cache: ResultCache | None = Field(
        default=None, description="A cache of answers; none where not given. It changes in place."
    )
    limits: gateway_spec.Limits = Field(
        default=gateway_spec.Limits(),
        description="What one gateway takes at a time. A change rolls the gateways.",
    )
    log: gateway_spec.Log = Field(
        default=gateway_spec.Log(),
        description="What gateways write to standard error. A change rolls the gateways.",
    )
    open_docs: bool = Field(
        default=False,
        description="Whether /docs and /openapi.json are shown to whoever asks, without a key.",
    )
    auth: Auth = Field(default=Auth(), description="Who may use the index.")
    tls: Tls | None = Field(
        default=None,
        description="TLS on the public port, where the Service then has 443 in place of 80; plain HTTP where "
        "not given.",
    )
    clients: tuple[base.Opaque, ...] = Field(
        default=(),
        max_length=32,
        description="NetworkPolicyPeers that may reach the public port, as in a NetworkPolicy; everybody "
        "where empty.",
    )
    service: ClientService = Field(default=ClientService(), description="The Service that clients talk to.")
