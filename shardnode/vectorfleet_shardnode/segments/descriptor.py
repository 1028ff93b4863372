"""What a sealed segment says of itself: `segment.json`, and the same inside the manifest."""

import dataclasses
from pathlib import Path

import pydantic

from .. import errors, files
from ..api import config
from ..engines import base

VERSION = 1
FILE_NAME = "segment.json"


class Model(pydantic.BaseModel):
    """Base of what is stored as JSON: frozen, and strict about fields of another version."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


_LISTS, _CODES = config.IvfParameters(), config.Quantization()


class FileSum(Model):
    """A file's length and hex SHA-256."""

    bytes: int
    sha256: str


class Recipe(Model):
    """How a segment is made: what it is searched with.

    Attributes:
        metric: how vectors are compared.
        dimensions: of rows' values.
        engine: what is built over the values, and over vector fields with items enough.
        hnsw: the graphs' parameters.
        ivf: those of inverted lists.
        quantization: the codes that searches walk over in place of the vectors.
        vectors: the vector fields, each with codes of its own; their files are numbered by their place here.
        text: the text fields; their files are numbered by their place here.
        language: of the texts.
        analysis: version of what made terms of them.
        index_min_items: items of a vector field below which it is searched exactly.
    """

    metric: config.Metric
    dimensions: int
    engine: config.EngineKind
    hnsw: config.HnswParameters
    ivf: config.IvfParameters = pydantic.Field(default=_LISTS, exclude_if=lambda given: given == _LISTS)
    quantization: config.Quantization = pydantic.Field(
        default=_CODES, exclude_if=lambda given: given == _CODES
    )
    vectors: tuple[config.VectorField, ...] = pydantic.Field(default=(), exclude_if=lambda none: not none)
    text: tuple[str, ...] = pydantic.Field(default=(), exclude_if=lambda none: not none)
    language: config.Language = pydantic.Field(
        default=config.Language.ENGLISH, exclude_if=lambda given: given is config.Language.ENGLISH
    )
    analysis: int = pydantic.Field(default=0, exclude_if=lambda none: not none)
    index_min_items: int = pydantic.Field(default=0, exclude_if=lambda bound: not bound)

    @property
    def spec(self) -> base.Spec:
        """What the engine is built from."""
        return base.Spec(self.metric, self.engine, self.hnsw, self.ivf, self.quantization)

    def field_spec(self, number: int) -> base.Spec:
        """Return what the engine of vector field `number` is built from."""
        return dataclasses.replace(self.spec, quantization=self.vectors[number].quantization)

    @property
    def indexes(self) -> bool:
        """Whether something is built over the values or over a vector field."""
        fields = (self.field_spec(number) for number in range(len(self.vectors)))
        return any(not spec.exact for spec in (self.spec, *fields))

    def builds_the_same_graph(self, other: "Recipe") -> bool:
        """Tell whether a graph of the other recipe can be extended by this one; efSearch is no part of it."""
        if self.engine is not config.EngineKind.HNSW:
            return False
        searched = self.hnsw.model_copy(update={"ef_search": other.hnsw.ef_search})
        changes: dict[str, object] = {"hnsw": searched, "ivf": other.ivf, "quantization": other.quantization}
        changes |= {"text": other.text, "language": other.language, "analysis": other.analysis}
        if [field.uncoded for field in self.vectors] == [field.uncoded for field in other.vectors]:
            changes["vectors"] = other.vectors
        return self.model_copy(update=changes) == other


class Measured(Model):
    """What an engine's recall@10 was when it was built, over so many of its rows as queries.

    Attributes:
        queries: how many.
        recall: with candidates scored anew, `oversampling` for each match.
        estimated: by the codes' estimates alone.
        oversampling: as the index was configured.
    """

    queries: int
    recall: float
    estimated: float
    oversampling: int


class Descriptor(Model):
    """A sealed segment: its recipe, its rows, and the seqs of the writes that made them.

    `ghosts` are nodes of its graph behind the rows: rows of the past, which are never returned. Of its rows'
    `sparse_values` it says how many there are: a program that knows none refuses the segment by this field.
    `measured` is known of inverted lists and of codes, `measured_fields` of vector fields that have codes.
    """

    version: int = VERSION
    recipe: Recipe
    rows: int
    ghosts: int = pydantic.Field(default=0, exclude_if=lambda none: not none)
    sparse_values: int = pydantic.Field(default=0, exclude_if=lambda none: not none)
    first_seq: int
    last_seq: int
    files: dict[str, FileSum]
    measured: Measured | None = pydantic.Field(default=None, exclude_if=lambda none: none is None)
    measured_fields: dict[str, Measured] = pydantic.Field(default={}, exclude_if=lambda none: not none)

    @property
    def bytes(self) -> int:
        """Bytes of its files."""
        return sum(content.bytes for content in self.files.values())


def sum_of(path: Path) -> FileSum:
    """Measure a file."""
    return FileSum(bytes=path.stat().st_size, sha256=files.sha256_of(path))


def check(path: Path, written: FileSum, name: str) -> None:
    """Check that a file is as it was written; `name` is what a message calls it.

    Raises:
        DataLossError: it is missing, or another.
    """
    try:
        found = sum_of(path)
    except FileNotFoundError as missing:
        raise errors.DataLossError(f"{name} is missing") from missing
    if found != written:
        raise errors.DataLossError(
            f"{name} is damaged: {found.bytes} bytes with sha256 {found.sha256}, "
            f"written were {written.bytes} with {written.sha256}"
        )
