"""The configuration of one index as the data plane reads it: a JSON file that the operator writes.

`vectorfleet serve` makes the same value from its options. Unknown fields are refused, so that an old
program never serves an index whose manifest it does not understand.
"""

from enum import StrEnum
from pathlib import Path

from pydantic import Field, model_validator

from . import base, services


class Metric(StrEnum):
    """How two vectors are compared; scores are Pinecone's."""

    COSINE = "cosine"
    DOTPRODUCT = "dotproduct"
    EUCLIDEAN = "euclidean"


MAX_LENGTH = 1e15
"""Euclidean length of a vector under dot product and Euclidean distance.

Scores of such vectors stay within float32 (3.4e38), with 512 tokens of 16 fields weighted by 1,000 too. Under
cosine vectors are compared at length 1, whatever theirs is.
"""


class EngineKind(StrEnum):
    """What searches a sealed segment."""

    FLAT = "flat"
    HNSW = "hnsw"  # FAISS's
    HNSWLIB = "hnswlib"
    IVF = "ivf"
    GPU = "gpu"  # FAISS on CUDA


class HnswParameters(base.Model):
    """HNSW's M, efConstruction and efSearch."""

    m: int = Field(default=16, ge=2, le=128)
    ef_construction: int = Field(default=128, ge=4, le=4096)
    ef_search: int = Field(default=100, ge=1, le=10_000)


PROFILES: dict[str, HnswParameters] = {
    "latency": HnswParameters(m=12, ef_construction=100, ef_search=64),
    "balanced": HnswParameters(m=16, ef_construction=128, ef_search=100),
    "recall": HnswParameters(m=24, ef_construction=200, ef_search=200),
}


class IvfParameters(base.Model):
    """Inverted lists: how many, and how many of them a query looks into; 0 chooses by the segment's rows."""

    lists: int = Field(default=0, ge=0, le=1_000_000)
    probes: int = Field(default=0, ge=0, le=1_000_000)


class QuantizationKind(StrEnum):
    """How the vectors that a search walks over are compressed."""

    NONE = "none"
    FLOAT16 = "float16"
    SQ8 = "sq8"
    PQ = "pq"
    RABITQ = "rabitq"


class Quantization(base.Model):
    """Compression in memory; full vectors stay on disk.

    Attributes:
        kind: the code.
        ratio: bytes of a float32 vector over bytes of its code; of pq only.
        rescore: whether candidates are scored anew with full vectors.
        oversampling: candidates that are scored anew, as a multiple of topK.
        recall_floor: recall@10 on the shard's own sample below which the code is reported as unfit.
    """

    kind: QuantizationKind = QuantizationKind.NONE
    ratio: int = Field(default=16, ge=4, le=32)
    rescore: bool = True
    oversampling: int = Field(default=4, ge=1, le=100)
    recall_floor: float = Field(default=0.9, ge=0, le=1)


FIELD_NAME = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
VALUES = "values"
"""What a query calls the rows' own vector beside the vector fields, so that no field is called so."""
SPARSE = "sparse values"
"""What columns and parts of sparse values are called between gateway and shard; no field can be called so."""


_NO_CODES = {
    EngineKind.HNSWLIB: set(QuantizationKind) - {QuantizationKind.NONE},  # it keeps full vectors in memory
    EngineKind.GPU: {QuantizationKind.PQ, QuantizationKind.RABITQ},
}


_NO_QUANTIZATION = Quantization()


class VectorField(base.Model):
    """A vector that rows may have beside their values, compared by the index's metric.

    With `late_interaction` it is a matrix, one vector for each token, scored by MaxSim: the sum over the
    query's tokens of the best similarity to any of the row's. `quantization` is of each of its vectors.
    """

    name: str = Field(pattern=FIELD_NAME)
    dimensions: int = Field(ge=1, le=20_000)
    late_interaction: bool = False
    quantization: Quantization = Field(
        default=_NO_QUANTIZATION, exclude_if=lambda given: given == _NO_QUANTIZATION
    )

    @property
    def uncoded(self) -> "VectorField":
        """The field without its compression: what its stored vectors are."""
        return self.model_copy(update={"quantization": _NO_QUANTIZATION})

    @model_validator(mode="after")
    def _distinct(self) -> "VectorField":
        if self.name == VALUES:
            raise ValueError(f"a vector field can't be called {VALUES}, which is the rows' own vector")
        return self


class FieldType(StrEnum):
    """The declared type of a metadata field; a list of such values is taken as well."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATETIME = "datetime"  # a string of ISO 8601, compared as a point in time


class SchemaField(base.Model):
    """A metadata field with a declared type."""

    name: str = Field(min_length=1)
    type: FieldType


class Language(StrEnum):
    """Languages that texts can be stemmed in."""

    ARABIC = "arabic"
    DANISH = "danish"
    DUTCH = "dutch"
    ENGLISH = "english"
    FINNISH = "finnish"
    FRENCH = "french"
    GERMAN = "german"
    GREEK = "greek"
    HUNGARIAN = "hungarian"
    ITALIAN = "italian"
    NORWEGIAN = "norwegian"
    PORTUGUESE = "portuguese"
    ROMANIAN = "romanian"
    RUSSIAN = "russian"
    SPANISH = "spanish"
    SWEDISH = "swedish"
    TAMIL = "tamil"
    TURKISH = "turkish"


class Bm25Parameters(base.Model):
    """BM25's k1 (how soon repetition saturates) and b (how much length counts)."""

    k1: float = Field(default=1.2, ge=0, le=10)
    b: float = Field(default=0.75, ge=0, le=1)


class Schema(base.Model):
    """What is known of metadata: typed fields, and those that are searched as text in one language."""

    fields: tuple[SchemaField, ...] = ()
    text: tuple[str, ...] = ()
    language: Language = Language.ENGLISH
    bm25: Bm25Parameters = Bm25Parameters()

    @model_validator(mode="after")
    def _distinct(self) -> "Schema":
        for names in ([field.name for field in self.fields], list(self.text)):
            if len(set(names)) < len(names):
                raise ValueError("a field is declared twice")
        return self


class ShardAddress(base.Model):
    """One shard of a generation and where its replicas listen, as host:port."""

    number: int = Field(ge=0)
    replicas: tuple[str, ...] = Field(min_length=1)


class Generation(base.Model):
    """One physical build of an index."""

    name: str = "g1"
    dimensions: int = Field(ge=1, le=20_000)
    metric: Metric = Metric.COSINE
    engine: EngineKind = EngineKind.HNSW
    hnsw: HnswParameters = HnswParameters()
    ivf: IvfParameters = IvfParameters()
    quantization: Quantization = Quantization()
    vectors: tuple[VectorField, ...] = ()
    shards: tuple[ShardAddress, ...] = ()

    @model_validator(mode="after")
    def _numbered(self) -> "Generation":
        if [shard.number for shard in self.shards] != list(range(len(self.shards))):
            raise ValueError("shards must be numbered 0, 1, 2, … in order")
        return self

    @model_validator(mode="after")
    def _buildable(self) -> "Generation":
        _check_codes("", self.engine, self.dimensions, self.quantization)
        for field in self.vectors:
            _check_codes(f'vector field "{field.name}": ', self.engine, field.dimensions, field.quantization)
        if self.ivf.lists and self.ivf.probes > self.ivf.lists:
            raise ValueError(f"a query can't look into {self.ivf.probes} of {self.ivf.lists} lists")
        return self

    @model_validator(mode="after")
    def _comparable(self) -> "Generation":
        names = [field.name for field in self.vectors]
        if len(set(names)) < len(names):
            raise ValueError("a vector field is declared twice")
        if self.metric is Metric.EUCLIDEAN and any(field.late_interaction for field in self.vectors):
            raise ValueError("late interaction adds up similarities; use the metric cosine or dotproduct")
        return self

    def of_field(self, field: VectorField) -> "Generation":
        """Return what a vector field is built from, as if it were the rows' values."""
        own = {"dimensions": field.dimensions, "quantization": field.quantization, "vectors": ()}
        return self.model_copy(update=own)


def _check_codes(what: str, engine: EngineKind, dimensions: int, wanted: Quantization) -> None:
    kind, ratio = wanted.kind, wanted.ratio
    if kind in _NO_CODES.get(engine, ()):
        raise ValueError(f"{what}the engine {engine} can't search {kind} codes; use hnsw, ivf or flat")
    if kind is QuantizationKind.PQ and (ratio % 4 or dimensions % (ratio // 4)):
        fitting = [str(fit) for fit in range(4, 33, 4) if dimensions % (fit // 4) == 0]
        raise ValueError(
            f"{what}pq can't cut {dimensions} dimensions at ratio {ratio}: a code of one byte stands for "
            f"ratio / 4 dimensions; ratios that fit are {', '.join(fitting)}"
        )


class ResultCache(base.Model):
    """Answers of queries that a gateway keeps.

    Attributes:
        max_bytes: of one gateway.
        max_age_seconds: after which an answer is made anew, whatever the shards say.
        max_stale_seconds: for how long an answer may be given without asking the shards; 0 asks each time.
    """

    max_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024, le=2**40)
    max_age_seconds: float = Field(default=300, gt=0, le=86_400)
    max_stale_seconds: float = Field(default=0, ge=0, le=3_600)


class IndexConfig(base.Model):
    """One index: its name, the generation that reads and writes go to, and the services that it names."""

    index: str
    namespace: str = "default"
    serving: Generation
    metadata: Schema = Field(default=Schema(), alias="schema")
    embedder: services.Embedder | None = None
    reranker: services.Reranker | None = None
    cache: ResultCache | None = None

    @property
    def text_field(self) -> str:
        """The metadata field that the text of a row is kept in, where it came to be embedded."""
        named = self.embedder.field if self.embedder is not None else None
        return named or next(iter(self.metadata.text), "text")


def read(path: Path) -> IndexConfig:
    """Read the configuration from a file.

    Raises:
        OSError: the file can't be read.
        pydantic.ValidationError: it is not a configuration; the message names the field.
    """
    return IndexConfig.model_validate_json(path.read_bytes())
