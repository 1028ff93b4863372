"""The configuration of one index as the data plane reads it: a JSON file that the operator writes.

`vectorfleet serve` makes the same value from its options. Unknown fields are refused, so that an old
program never serves an index whose manifest it does not understand.
"""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


class Metric(StrEnum):
    """How two vectors are compared; scores are Pinecone's."""

    COSINE = "cosine"
    DOTPRODUCT = "dotproduct"
    EUCLIDEAN = "euclidean"


class Model(BaseModel):
    """Base of the configuration's parts: frozen, camelCase in JSON, strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class EngineKind(StrEnum):
    """What searches a sealed segment."""

    FLAT = "flat"
    HNSW = "hnsw"


class HnswParameters(Model):
    """HNSW's M, efConstruction and efSearch."""

    m: int = Field(default=16, ge=2, le=128)
    ef_construction: int = Field(default=128, ge=4, le=4096)
    ef_search: int = Field(default=100, ge=1, le=10_000)


PROFILES: dict[str, HnswParameters] = {
    "latency": HnswParameters(m=12, ef_construction=100, ef_search=64),
    "balanced": HnswParameters(m=16, ef_construction=128, ef_search=100),
    "recall": HnswParameters(m=24, ef_construction=200, ef_search=200),
}


class ShardAddress(Model):
    """One shard of a generation and where its replicas listen, as host:port."""

    number: int = Field(ge=0)
    replicas: tuple[str, ...] = Field(min_length=1)


class Generation(Model):
    """One physical build of an index."""

    name: str = "g1"
    dimensions: int = Field(ge=1, le=20_000)
    metric: Metric = Metric.COSINE
    engine: EngineKind = EngineKind.HNSW
    hnsw: HnswParameters = HnswParameters()
    shards: tuple[ShardAddress, ...] = ()

    @model_validator(mode="after")
    def _numbered(self) -> "Generation":
        if [shard.number for shard in self.shards] != list(range(len(self.shards))):
            raise ValueError("shards must be numbered 0, 1, 2, … in order")
        return self


class IndexConfig(Model):
    """One index: its name, its generations, and the one that reads and writes go to."""

    index: str
    namespace: str = "default"
    serving: Generation
    # Metadata fields with a declared type, and the text fields: empty until they are supported.
    text_fields: tuple[str, ...] = ()


def read(path: Path) -> IndexConfig:
    """Read the configuration from a file.

    Raises:
        OSError: the file can't be read.
        pydantic.ValidationError: it is not a configuration; the message names the field.
    """
    return IndexConfig.model_validate_json(path.read_bytes())
