"""The bodies of control plane requests, as the official client 7.3 sends them. PURE.

What Pinecone's own cloud decides (cloud, region, environment, pod type) has to be given, since its clients
give it, changes nothing here, and is given back. All else that can't be had is refused by its name.
"""

from typing import Annotated, Any, Literal, Self, TypeVar

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ..api import parse
from . import refusals

MAX_BODY_BYTES = 64 * 1024
MAX_TAGS = 20


def _refuse(why: str) -> BeforeValidator:
    """Return what lets a field be given only as null."""

    def check(value: object) -> None:
        if value is not None:
            raise ValueError(why)

    return BeforeValidator(check)


_NOTHING = pydantic.WithJsonSchema({"type": "null"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


Place = Annotated[str, Field(min_length=1, max_length=64)]
Tags = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")],
        Annotated[str, Field(max_length=120)],
    ],
    Field(max_length=MAX_TAGS),
]
Protection = Literal["enabled", "disabled"]


class Serverless(_Part):
    """Where Pinecone would run an index whose size is its own affair."""

    cloud: Place
    region: Place


class Pod(_Part):
    """An index of shards and replicas."""

    environment: Place
    pod_type: Place = "p1.x1"
    replicas: Annotated[int, Field(ge=1, le=9)] = 1
    shards: Annotated[int, Field(ge=1, le=256)] = 1
    pods: Annotated[int, Field(ge=1)] | None = None
    metadata_config: Annotated[
        Any, _NOTHING, _refuse("every field of the metadata can be filtered by here: leave it out")
    ] = None
    source_collection: Annotated[
        Any, _NOTHING, _refuse("there are no collections here: make the index empty, and load it")
    ] = None

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if self.pods not in (None, self.replicas * self.shards):
            raise ValueError(
                f"pods is replicas times shards, {self.replicas * self.shards}, or left out; not {self.pods}"
            )
        return self


class Spec(_Part):
    """How an index is to be run: one of the two."""

    serverless: Serverless | None = None
    pod: Pod | None = None
    byoc: Annotated[Any, _NOTHING, _refuse("give serverless or pod; this is a cluster of yours anyhow")] = (
        None
    )

    @pydantic.model_validator(mode="after")
    def _one(self) -> Self:
        if (self.serverless is None) == (self.pod is None):
            raise ValueError("give either serverless or pod")
        return self


class Create(_Part):
    """The body of `POST /indexes`."""

    name: Annotated[str, Field(max_length=64)]
    dimension: Annotated[int, Field(ge=1, le=20_000)] | None = None
    metric: Literal["cosine", "dotproduct", "euclidean"] = "cosine"
    spec: Spec
    deletion_protection: Protection = "disabled"
    vector_type: Literal["dense", "sparse"] = "dense"
    tags: Tags = {}

    @pydantic.model_validator(mode="after")
    def _dense(self) -> Self:
        if self.vector_type == "sparse":
            raise ValueError(
                "vector_type: an index of sparse values alone is not supported; make a dense index with "
                "the metric dotproduct, whose rows may have sparse values beside dense ones"
            )
        if self.dimension is None:
            raise ValueError("dimension: a dense index needs one")
        return self


class NewPod(_Part):
    """What may change of an index of shards and replicas."""

    replicas: Annotated[int, Field(ge=1, le=9)] | None = None
    pod_type: Annotated[
        Any,
        _NOTHING,
        _refuse("it says what hardware Pinecone takes; here spec.resources of the VectorIndex does"),
    ] = None


class NewSpec(_Part):
    """What may change of how an index is run."""

    pod: NewPod = NewPod()


class Configure(_Part):
    """The body of `PATCH /indexes/{name}`; what is not given stays."""

    spec: NewSpec = NewSpec()
    deletion_protection: Protection | None = None
    tags: Tags = {}
    """Those to set; an empty value removes one."""
    embed: Annotated[Any, _NOTHING, _refuse("name the service in spec.embedder of the VectorIndex")] = None


Body = TypeVar("Body", Create, Configure)


def read(kind: type[Body], content: bytes) -> Body:
    """Return a request's body.

    Raises:
        refusals.Refused: it does not fit; the message names each field and why.
    """
    try:
        return kind.model_validate_json(content)
    except pydantic.ValidationError as wrong:
        raise refusals.invalid(parse.describe(wrong)) from None
