"""What a generation is built from: model, metric, index, quantization.

These fields fix the stored vectors and the graphs over them. A change of any of them needs a new
generation; until the operator can build one beside the other, they keep their first value.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from vectorfleet_shardnode.api import config

from . import base

NEEDS_GENERATION = (
    "changing it needs a new generation, which is not supported yet; create another VectorIndex"
)


class EmbeddingModel(base.Part):
    """The embedding model that makes the vectors."""

    name: base.ShortText = Field(
        description="Name of the model, such as all-MiniLM-L6-v2. The operator does not run it; it is what "
        "tells two sets of vectors of equal dimension apart."
    )
    revision: base.ShortText | None = Field(
        default=None, description="Revision of the model, where its publisher names one."
    )
    dimensions: int = Field(ge=1, le=20_000, description="Length of each vector.")


class IndexType(StrEnum):
    """What searches a sealed segment."""

    HNSW = "hnsw"
    FLAT = "flat"
    IVF = "ivf"
    GPU = "gpu"


class Profile(StrEnum):
    """A set of HNSW parameters by what it favours."""

    LATENCY = "latency"
    BALANCED = "balanced"
    RECALL = "recall"


_ONE_WAY = "profile may not be given together with m, efConstruction or efSearch: give either"
_HNSW_ONLY = "profile, m, efConstruction and efSearch may only be given where type is hnsw"
_EXPLICIT = "has(self.m) || has(self.efConstruction) || has(self.efSearch)"


class IndexSpec(base.Part):
    """How vectors are indexed for approximate search."""

    cel_rules = (
        base.Rule(f"!has(self.profile) || !({_EXPLICIT})", _ONE_WAY),
        base.Rule(f"self.type == 'hnsw' || !(has(self.profile) || {_EXPLICIT})", _HNSW_ONLY),
    )

    type: Annotated[IndexType, base.Later(allowed=(IndexType.HNSW, IndexType.FLAT))] = Field(
        default=IndexType.HNSW,
        description="hnsw: a navigable graph. flat: compare with every vector; exact, for small indexes. "
        "ivf, gpu: not supported yet.",
    )
    profile: Profile | None = Field(
        default=None,
        description="HNSW parameters by purpose: latency (m 12, efConstruction 100, efSearch 64), balanced "
        "(16, 128, 100), recall (24, 200, 200). balanced where nothing is given.",
    )
    m: int | None = Field(
        default=None, ge=2, le=128, description="HNSW: links of a node. 16 where not given."
    )
    ef_construction: int | None = Field(
        default=None, ge=4, le=4096, description="HNSW: candidates while building. 128 where not given."
    )
    ef_search: int | None = Field(
        default=None, ge=1, le=10_000, description="HNSW: candidates while searching. 100 where not given."
    )

    def broken_rule(self) -> str:
        """Return why the parameters exclude each other, or an empty string."""
        explicit = any(value is not None for value in (self.m, self.ef_construction, self.ef_search))
        if self.profile is not None and explicit:
            return _ONE_WAY
        if self.type is not IndexType.HNSW and (explicit or self.profile is not None):
            return _HNSW_ONLY
        return ""

    def hnsw(self) -> config.HnswParameters:
        """Return the HNSW parameters that the profile or the explicit values come to."""
        named = config.PROFILES[(self.profile or Profile.BALANCED).value]
        explicit = {"m": self.m, "ef_construction": self.ef_construction, "ef_search": self.ef_search}
        return named.model_copy(update={name: value for name, value in explicit.items() if value is not None})


class QuantizationType(StrEnum):
    """How vectors are compressed in memory."""

    NONE = "none"
    FLOAT16 = "float16"
    SQ8 = "sq8"
    PQ = "pq"
    RABITQ = "rabitq"
    BINARY = "binary"


class Rescore(base.Part):
    """A second look at the best candidates, with the full vectors."""

    enabled: bool = Field(default=True, description="Whether candidates are scored anew with full vectors.")
    oversampling: int = Field(
        default=4, ge=1, le=100, description="Candidates that are scored anew, as a multiple of topK."
    )


_RESCORE_NEEDS_TYPE = "rescore may only be given where type is not none"


class Quantization(base.Part):
    """Compression of the vectors held in memory."""

    cel_rules = (base.Rule("self.type != 'none' || !has(self.rescore)", _RESCORE_NEEDS_TYPE),)

    type: Annotated[QuantizationType, base.Later(allowed=(QuantizationType.NONE,))] = Field(
        default=QuantizationType.NONE,
        description="none: float32 as sent. float16, sq8, pq, rabitq, binary: not supported yet.",
    )
    rescore: Rescore | None = Field(default=None, description="Scoring of candidates with full vectors.")

    def broken_rule(self) -> str:
        """Return why the parts exclude each other, or an empty string."""
        alone = self.type is QuantizationType.NONE and self.rescore is not None
        return _RESCORE_NEEDS_TYPE if alone else ""
