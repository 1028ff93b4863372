"""What a generation is built from: model, metric, index, quantization, vector fields.

What fixes the stored vectors and the graphs over them is marked immutable: its change needs a new generation,
and until the operator can build one beside the other, it keeps its first value. What only concerns searching
changes in place.
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


class Library(StrEnum):
    """Whose HNSW it is."""

    FAISS = "faiss"
    HNSWLIB = "hnswlib"


class Profile(StrEnum):
    """A set of HNSW parameters by what it favours."""

    LATENCY = "latency"
    BALANCED = "balanced"
    RECALL = "recall"


_ONE_WAY = "profile may not be given together with m or efConstruction: give either"
_HNSW_ONLY = "library, profile, m, efConstruction and efSearch may only be given where type is hnsw"
_IVF_ONLY = "lists and probes may only be given where type is ivf or gpu"
_FEWER_LISTS = "probes may be at most lists: a query can't look into more lists than there are"
_OF_GRAPH = ("library", "profile", "m", "ef_construction", "ef_search")
_OF_LISTS = ("lists", "probes")


class IndexSpec(base.Part):
    """How vectors are indexed for approximate search."""

    cel_rules = (
        base.Rule("!has(self.profile) || !(has(self.m) || has(self.efConstruction))", _ONE_WAY),
        base.Rule(
            "self.type == 'hnsw' || !(has(self.library) || has(self.profile) || has(self.m)"
            " || has(self.efConstruction) || has(self.efSearch))",
            _HNSW_ONLY,
        ),
        base.Rule("self.type in ['ivf', 'gpu'] || !(has(self.lists) || has(self.probes))", _IVF_ONLY),
        base.Rule("!has(self.lists) || !has(self.probes) || self.probes <= self.lists", _FEWER_LISTS),
    )

    type: Annotated[IndexType, base.Immutable(NEEDS_GENERATION)] = Field(
        default=IndexType.HNSW,
        description="hnsw: a navigable graph. flat: compare with every vector; exact, for small indexes. "
        "ivf: inverted lists. gpu: inverted lists on a GPU; needs an image with FAISS for CUDA (spec.image) "
        "and a GPU (spec.resources).",
    )
    library: Annotated[Library | None, base.Immutable(NEEDS_GENERATION)] = Field(
        default=None,
        description="HNSW: whose implementation; faiss where not given. hnswlib takes no codes.",
    )
    profile: Annotated[Profile | None, base.Immutable(NEEDS_GENERATION)] = Field(
        default=None,
        description="HNSW parameters by purpose: latency (m 12, efConstruction 100, efSearch 64), balanced "
        "(16, 128, 100), recall (24, 200, 200). balanced where nothing is given.",
    )
    m: Annotated[int | None, base.Immutable(NEEDS_GENERATION)] = Field(
        default=None, ge=2, le=128, description="HNSW: links of a node. 16 where not given."
    )
    ef_construction: Annotated[int | None, base.Immutable(NEEDS_GENERATION)] = Field(
        default=None, ge=4, le=4096, description="HNSW: candidates while building. 128 where not given."
    )
    ef_search: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="HNSW: candidates while searching, more for recall and fewer for speed. It changes in "
        "place, and wins over a profile's. The profile's, or 100, where not given.",
    )
    lists: Annotated[int | None, base.Immutable(NEEDS_GENERATION)] = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Inverted lists of ivf and gpu. By the number of rows where not given.",
    )
    probes: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Inverted lists that a query looks into. It changes in place. By the number of lists "
        "where not given.",
    )

    def broken_rule(self) -> str:
        """Return why the parameters exclude each other, or an empty string."""
        if self.profile is not None and self._has(("m", "ef_construction")):
            return _ONE_WAY
        if self.type is not IndexType.HNSW and self._has(_OF_GRAPH):
            return _HNSW_ONLY
        if self.type not in (IndexType.IVF, IndexType.GPU) and self._has(_OF_LISTS):
            return _IVF_ONLY
        few = self.lists is not None and self.probes is not None and self.probes > self.lists
        return _FEWER_LISTS if few else ""

    def _has(self, names: tuple[str, ...]) -> bool:
        return any(getattr(self, name) is not None for name in names)

    def engine(self) -> config.EngineKind:
        """Return what searches: the type, and for HNSW the library."""
        if self.library is Library.HNSWLIB:
            return config.EngineKind.HNSWLIB
        return config.EngineKind(self.type.value)

    def hnsw(self) -> config.HnswParameters:
        """Return the HNSW parameters that the profile and the explicit values come to."""
        named = config.PROFILES[(self.profile or Profile.BALANCED).value]
        explicit = {"m": self.m, "ef_construction": self.ef_construction, "ef_search": self.ef_search}
        return named.model_copy(update={name: value for name, value in explicit.items() if value is not None})

    def ivf(self) -> config.IvfParameters:
        """Return the parameters of inverted lists; 0 chooses by the rows."""
        return config.IvfParameters(lists=self.lists or 0, probes=self.probes or 0)


class QuantizationType(StrEnum):
    """How vectors are compressed in memory."""

    NONE = "none"
    FLOAT16 = "float16"
    SQ8 = "sq8"
    PQ = "pq"
    RABITQ = "rabitq"


class Rescore(base.Part):
    """A second look at the best candidates, with the full vectors."""

    enabled: bool = Field(default=True, description="Whether candidates are scored anew with full vectors.")
    oversampling: int = Field(
        default=4, ge=1, le=100, description="Candidates that are scored anew, as a multiple of topK."
    )


_NEEDS_TYPE = "rescore and recallFloor may only be given where type is not none"
_PQ_ONLY = "ratio may only be given where type is pq"
_PLAIN = config.Quantization()


class Quantization(base.Part):
    """Compression of the vectors held in memory; full vectors stay on the volume."""

    cel_rules = (
        base.Rule("self.type != 'none' || !(has(self.rescore) || has(self.recallFloor))", _NEEDS_TYPE),
        base.Rule("self.type == 'pq' || !has(self.ratio)", _PQ_ONLY),
    )

    type: Annotated[QuantizationType, base.Immutable(NEEDS_GENERATION)] = Field(
        default=QuantizationType.NONE,
        description="none: float32 as sent. float16: half of the memory. sq8: a quarter. pq: ratio times "
        "less. rabitq: a bit for each dimension, about 32 times less.",
    )
    ratio: Annotated[int | None, base.Immutable(NEEDS_GENERATION)] = Field(
        default=None,
        ge=4,
        le=32,
        description="PQ: bytes of a float32 vector over bytes of its code, a multiple of 4 such that "
        "dimensions is one of ratio / 4. 16 where not given.",
    )
    rescore: Rescore | None = Field(
        default=None,
        description="Scoring of candidates with full vectors. It changes in place; on where not given.",
    )
    recall_floor: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Recall@10 on a shard's own sample below which the condition RecallLow says that the "
        "code is unfit. It changes in place; 0.9 where not given.",
    )

    def broken_rule(self) -> str:
        """Return why the parts exclude each other, or an empty string."""
        plain = self.type is QuantizationType.NONE
        if plain and (self.rescore is not None or self.recall_floor is not None):
            return _NEEDS_TYPE
        return _PQ_ONLY if self.type is not QuantizationType.PQ and self.ratio is not None else ""

    def settled(self) -> config.Quantization:
        """Return what the data plane does, with what is not given as it is by default."""
        rescore = self.rescore or Rescore()
        return config.Quantization(
            kind=config.QuantizationKind(self.type.value),
            ratio=_PLAIN.ratio if self.ratio is None else self.ratio,
            rescore=rescore.enabled,
            oversampling=rescore.oversampling,
            recall_floor=_PLAIN.recall_floor if self.recall_floor is None else self.recall_floor,
        )


UNEVEN = "pq can't cut the dimensions so: ratio is a multiple of 4, and dimensions one of ratio / 4"


def even(quantization: str, dimensions: str) -> str:
    """Return the CEL rule that product quantisation can cut vectors, given where both are said."""
    ratio = f"(has({quantization}.ratio) ? {quantization}.ratio : {_PLAIN.ratio})"
    return f"{quantization}.type != 'pq' || {ratio} % 4 == 0 && {dimensions} % ({ratio} / 4) == 0"


_RESERVED = "a vector field may not be called values: that is what a query calls the rows' own vector"


class VectorField(base.Part):
    """A vector that rows may have beside their values."""

    cel_rules = (
        base.Rule("self.name != 'values'", _RESERVED),
        base.Rule(even("self.quantization", "self.dimensions"), UNEVEN),
    )

    name: Annotated[str, Field(max_length=64, pattern=config.FIELD_NAME)] = Field(
        description="Name of the field, as rows and queries call it."
    )
    dimensions: int = Field(ge=1, le=20_000, description="Length of each vector.")
    late_interaction: bool = Field(
        default=False,
        description="Whether a row has a matrix, one vector for each token, scored by MaxSim as in ColBERT.",
    )
    quantization: Quantization = Field(
        default=Quantization(),
        description="Compression of the field's vectors held in memory, of each token's where they are many.",
    )

    def broken_rule(self) -> str:
        """Return why the field can't have its name, or an empty string."""
        return _RESERVED if self.name == config.VALUES else ""

    def settled(self) -> config.VectorField:
        """Return the field as the data plane reads it."""
        return config.VectorField(
            name=self.name,
            dimensions=self.dimensions,
            late_interaction=self.late_interaction,
            quantization=self.quantization.settled(),
        )


def _basis(fields: tuple[VectorField, ...]) -> object:
    return [
        (one.name, one.dimensions, one.late_interaction, one.quantization.type, one.quantization.ratio)
        for one in fields
    ]


STORED = base.Basis(
    "{}.map(one, [one.name, string(one.dimensions), string(one.lateInteraction), one.quantization.type,"
    " has(one.quantization.ratio) ? string(one.quantization.ratio) : ''])",
    _basis,
)
"""What of vector fields is stored, or fixes what is built over them; the rest only concerns searching."""
