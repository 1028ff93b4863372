"""The VectorIndex: what a user writes, and what the operator answers in its status."""

from typing import Annotated

import pydantic
from pydantic import Field

from vectorfleet_shardnode.api import config

from . import (
    base,
    build_spec,
    condition,
    metadata_spec,
    move_spec,
    services_spec,
    serving_spec,
    workload_spec,
)

_GENERATION = build_spec.NEEDS_GENERATION
_NAME = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
_NAME_MESSAGE = (
    "metadata.name must be at most 40 characters of a-z, 0-9 and -, begin with a letter and not end with -: "
    "the names of StatefulSets, Services and volumes are made from it"
)
_TWICE = "a vector field is declared twice"
_NO_MAXSIM = "late interaction adds up similarities; use the metric cosine or dotproduct"
_NO_CODES = (
    "the library hnswlib keeps full vectors in memory: with it, spec.quantization.type is none, and that of "
    "vector fields too"
)
_BITS = "['pq', 'rabitq']"
_NO_GPU_CODES = "the type gpu can't search pq and rabitq codes; use hnsw, ivf or flat"


class VectorIndexSpec(base.Part):
    """The index as its user wants it. What is marked immutable needs a new generation."""

    cel_rules = (
        base.Rule(
            "!has(self.vectors) || self.vectors.all(one, self.vectors.exists_one(two, two.name == one.name))",
            _TWICE,
        ),
        base.Rule(
            "self.metric != 'euclidean' || !has(self.vectors)"
            " || !self.vectors.exists(one, one.lateInteraction)",
            _NO_MAXSIM,
        ),
        base.Rule(
            "!has(self.index.library) || self.index.library != 'hnswlib' || (self.quantization.type == 'none'"
            " && (!has(self.vectors) || self.vectors.all(one, one.quantization.type == 'none')))",
            _NO_CODES,
        ),
        base.Rule(
            f"self.index.type != 'gpu' || (!(self.quantization.type in {_BITS})"
            f" && (!has(self.vectors) || !self.vectors.exists(one, one.quantization.type in {_BITS})))",
            _NO_GPU_CODES,
        ),
        base.Rule(build_spec.even("self.quantization", "self.model.dimensions"), build_spec.UNEVEN),
    )

    model: Annotated[build_spec.EmbeddingModel, base.Immutable(_GENERATION)] = Field(
        description="The embedding model that makes the vectors."
    )
    metric: Annotated[config.Metric, base.Immutable(_GENERATION)] = Field(
        default=config.Metric.COSINE,
        description="How two vectors are compared: cosine, dotproduct or euclidean (squared distance).",
    )
    index: build_spec.IndexSpec = Field(
        default=build_spec.IndexSpec(), description="How vectors are indexed for approximate search."
    )
    quantization: build_spec.Quantization = Field(
        default=build_spec.Quantization(), description="Compression of the vectors held in memory."
    )
    vectors: Annotated[tuple[build_spec.VectorField, ...], base.Immutable(_GENERATION, build_spec.STORED)] = (
        Field(
            default=(),
            max_length=16,
            description="Vectors that rows may have beside their values, such as of a title, compared by the "
            "same metric. A query may weigh several, the values among them.",
        )
    )
    shards: Annotated[int, base.Immutable(_GENERATION)] = Field(
        default=1, ge=1, le=256, description="Hash ranges that the ids are split into; each has its own pods."
    )
    replicas: int = Field(
        default=1,
        ge=1,
        le=9,
        description="Copies of each shard, each on a volume of its own; may be changed at any time. Of 3 one "
        "may be away and writes go on; of 2 one volume may be lost, but writes wait while one is away.",
    )
    metadata_schema: metadata_spec.Schema = Field(
        default=metadata_spec.Schema(), alias="schema", description="What is known of rows' metadata."
    )
    embedder: services_spec.Embedder | None = Field(
        default=None,
        description="The service that turns texts into vectors; texts are refused where not given.",
    )
    reranker: services_spec.Reranker | None = Field(
        default=None,
        description="The service that orders the first matches anew, for queries that ask for it.",
    )
    consistency: serving_spec.Consistency = Field(
        default=serving_spec.Consistency(), description="What an acknowledged write promises."
    )
    resources: workload_spec.Resources = Field(
        default=workload_spec.Resources(), description="Compute resources of each shard pod."
    )
    storage: workload_spec.Storage = Field(
        default=workload_spec.Storage(), description="The volume of each replica."
    )
    gateway: serving_spec.Gateway = Field(
        default=serving_spec.Gateway(), description="The stateless front door of the index."
    )
    internal_tls: serving_spec.InternalTls = Field(
        default=serving_spec.InternalTls(), description="TLS between gateway, shards and operator; always on."
    )
    image: workload_spec.Image = Field(
        default=workload_spec.Image(), description="Overrides of the data plane's image."
    )
    image_pull_secrets: tuple[base.NameReference, ...] = Field(
        default=(), max_length=16, description="Secrets to pull the image with."
    )
    scheduling: workload_spec.Scheduling = Field(
        default=workload_spec.Scheduling(), description="Where shard pods may run."
    )
    pod_labels: dict[str, str] = Field(
        default={}, max_length=64, description="Labels that every pod gets; those of the operator win."
    )
    pod_annotations: dict[str, str] = Field(
        default={}, max_length=64, description="Annotations that every pod gets; those of the operator win."
    )
    rollout: Annotated[move_spec.Rollout | None, base.Later()] = Field(
        default=None, description="How reads move to a new generation. Not supported yet."
    )
    bootstrap: Annotated[
        move_spec.Bootstrap | None,
        base.Later(),
        base.Immutable("it only says what a new index starts with"),
    ] = Field(default=None, description="What a new index starts with. Not supported yet.")
    backup: Annotated[move_spec.Backup | None, base.Later()] = Field(
        default=None, description="Where backups and the archived log go. Not supported yet."
    )
    paused: bool = Field(
        default=False,
        description="While true, the operator changes nothing but who leads a shard whose primary is gone or "
        "stops; the index goes on serving.",
    )

    def broken_rule(self) -> str:
        """Return why no generation can be built of it, or an empty string; the data plane's models know."""
        try:
            self.generation()
        except pydantic.ValidationError as wrong:
            return wrong.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        return ""

    def generation(self) -> config.Generation:
        """Return the generation that the spec describes, without its name and shards.

        Raises:
            pydantic.ValidationError: its parts exclude each other.
        """
        return config.Generation(
            dimensions=self.model.dimensions,
            metric=self.metric,
            engine=self.index.engine(),
            hnsw=self.index.hnsw(),
            ivf=self.index.ivf(),
            quantization=self.quantization.settled(),
            vectors=tuple(field.settled() for field in self.vectors),
        )


_NOT_LESS = "quantity(string(self.spec.storage.size)).compareTo(quantity(string({}))) >= 0"


class VectorIndexStatus(base.Observed):
    """The index as the operator sees it."""

    observed_generation: int = Field(
        default=0, ge=0, description="Generation of the spec that the status answers."
    )
    conditions: tuple[condition.Condition, ...] = Field(
        default=(), description="Ready, Reconciling and Stalled, and what shards have reported."
    )
    replicas: int = Field(default=0, ge=0, description="Copies that each shard has.")
    ready_replicas: int = Field(default=0, ge=0, description="Copies that every shard has ready.")
    selector: str = Field(
        default="",
        description="Selects the pods of one shard, so that an autoscaler counts copies and not pods.",
    )
    shards: int = Field(default=0, ge=0, description="Shards of the serving generation.")
    ready_shards: int = Field(default=0, ge=0, description="Shards that serve.")
    ready_gateways: int = Field(default=0, ge=0, description="Gateway pods that serve.")
    vectors: int = Field(default=0, ge=0, description="Live rows of all shards, as they last reported.")
    generation: str = Field(default="", description="The generation that serves.")
    endpoint: str = Field(default="", description="URL of the API inside the cluster.")
    api_key_secret: str = Field(default="", description="Secret that holds the valid API keys.")
    volume_size: base.Quantity | None = Field(
        default=None,
        description="What the volumes have: a storage.size that they could not reach may go back as far.",
    )


class Metadata(base.Observed):
    """The parts of an object's metadata that decisions need."""

    name: Annotated[str, Field(max_length=40, pattern=_NAME)]
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None


class VectorIndex(base.Observed):
    """One logical index: its vectors' model and metric, its size, and how it is served."""

    cel_rules = (
        base.Rule(f"size(self.metadata.name) <= 40 && self.metadata.name.matches('{_NAME}')", _NAME_MESSAGE),
        base.Rule(
            f"{_NOT_LESS.format('oldSelf.spec.storage.size')} || (has(self.status) && "
            f"has(self.status.volumeSize) && {_NOT_LESS.format('self.status.volumeSize')})",
            f"spec.storage.size may only grow: {workload_spec.GROWTH}",
        ),
    )

    metadata: Metadata
    spec: VectorIndexSpec = Field(description="The index as its user wants it.")
    status: VectorIndexStatus = Field(
        default=VectorIndexStatus(),
        description="The index as the operator sees it; written by the operator alone.",
    )
