"""What a sealed segment says of itself: `segment.json`, and the same inside the manifest."""

from pathlib import Path

import pydantic

from .. import files
from ..api import config

VERSION = 1
FILE_NAME = "segment.json"


class Model(pydantic.BaseModel):
    """Base of what is stored as JSON: frozen, and strict about fields of another version."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


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
        vectors: the vector fields; their files are numbered by their place here.
        index_min_items: items of a vector field below which it is searched exactly.
    """

    metric: config.Metric
    dimensions: int
    engine: config.EngineKind
    hnsw: config.HnswParameters
    vectors: tuple[config.VectorField, ...] = pydantic.Field(default=(), exclude_if=lambda none: not none)
    index_min_items: int = pydantic.Field(default=0, exclude_if=lambda bound: not bound)

    def builds_the_same_graph(self, other: "Recipe") -> bool:
        """Tell whether a graph of the other recipe can be extended by this one; efSearch is no part of it."""
        searched = {"hnsw": self.hnsw.model_copy(update={"ef_search": other.hnsw.ef_search})}
        return self.model_copy(update=searched) == other


class Descriptor(Model):
    """A sealed segment: its recipe, its rows, and the seqs of the writes that made them.

    `ghosts` are nodes of its graph behind the rows: rows of the past, which are never returned.
    """

    version: int = VERSION
    recipe: Recipe
    rows: int
    ghosts: int = 0
    first_seq: int
    last_seq: int
    files: dict[str, FileSum]

    @property
    def bytes(self) -> int:
        """Bytes of its files."""
        return sum(content.bytes for content in self.files.values())


def sum_of(path: Path) -> FileSum:
    """Measure a file."""
    return FileSum(bytes=path.stat().st_size, sha256=files.sha256_of(path))
