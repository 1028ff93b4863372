"""The vector fields of a sealed segment: ragged columns in files, and a graph over their items.

Field n of the segment's recipe has `field-<n>-offsets.bin` and `field-<n>-vectors.bin`, under cosine
`field-<n>-comparable.bin`, and where it has items enough what its engine needs, such as
`field-<n>-graph.faiss`; a field without items has no files.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import bits, errors, ragged
from ..api import config
from ..arrays import RowNumbers, Vectors
from ..engines import base, choice, registry
from . import descriptor, offsets_file, part, vectors_file

_CHUNK_ITEMS = 65_536
# Many vectors against all items are one matrix product: measured at 128 dimensions with 16 vectors.
_MANY, _MATRIX_GAIN = 4, 8


@dataclasses.dataclass(frozen=True)
class Source:
    """A field of one part, and those of its rows that are wanted."""

    column: ragged.Ragged
    rows: RowNumbers


@dataclasses.dataclass(frozen=True)
class Names:
    """The files of one field."""

    offsets: str
    vectors: str
    comparable: str
    start: str


def names_of(number: int, metric: config.Metric) -> Names:
    """Return the files of field `number`; vectors that are compared as they were sent are stored once."""
    start = f"field-{number}-"
    vectors = start + "vectors.bin"
    comparable = start + "comparable.bin" if metric is config.Metric.COSINE else vectors
    return Names(start + "offsets.bin", vectors, comparable, start)


def write(
    folder: Path, number: int, recipe: descriptor.Recipe, sources: Sequence[Source], order: RowNumbers
) -> None:
    """Write field `number` of the recipe, the sources' rows concatenated and in this order.

    Raises:
        OSError: the disk is full or failing.
    """
    counts = np.concatenate([source.column.counts[source.rows] for source in sources])[order]
    items = int(counts.sum())
    if not items:
        return
    names, dimensions = names_of(number, recipe.metric), recipe.vectors[number].dimensions
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    offsets_file.write(folder / names.offsets, offsets)
    chunks = functools.partial(_chunks, sources, order, offsets)
    vectors_file.write(folder / names.vectors, dimensions, items, chunks())
    if recipe.metric is config.Metric.COSINE:
        comparable = (base.comparable(recipe.metric, chunk) for chunk in chunks())
        vectors_file.write(folder / names.comparable, dimensions, items, comparable)
    if not recipe.field_spec.exact and items >= recipe.index_min_items:
        stored = vectors_file.VectorsFile(folder / names.comparable)
        registry.build(recipe.field_spec, stored.vectors, base.Home(folder, names.start))


def _chunks(sources: Sequence[Source], order: RowNumbers, offsets: RowNumbers) -> Iterator[Vectors]:
    """Yield the items of the ordered rows, about `_CHUNK_ITEMS` at a time."""
    starts = np.cumsum([0, *(len(source.rows) for source in sources)])
    at = 0
    while at < len(order):
        stop = max(at + 1, int(np.searchsorted(offsets, offsets[at] + _CHUNK_ITEMS, side="right")) - 1)
        wanted = order[at:stop]
        owners = np.searchsorted(starts, wanted, side="right") - 1
        yield _gathered(sources, owners, wanted - starts[owners])
        at = stop


def _gathered(sources: Sequence[Source], owners: RowNumbers, rows: RowNumbers) -> Vectors:
    """Return the items of rows of several sources, in their order."""
    places = [np.flatnonzero(owners == number) for number in range(len(sources))]
    pieces = [
        source.column.take(source.rows[rows[place]]) for source, place in zip(sources, places, strict=True)
    ]
    return ragged.concatenated(pieces).take(np.argsort(np.concatenate(places))).items


@dataclasses.dataclass(frozen=True)
class SealedField:
    """One vector field of a sealed segment, open.

    Attributes:
        stored: the vectors as they were sent.
        compared: the vectors as they are compared.
        engine: what searches the items of `compared`; None where they are searched exactly.
        m: HNSW's M.
    """

    stored: ragged.Ragged
    compared: ragged.Ragged
    engine: base.Engine | None
    m: int

    def nearest(self, sought: part.Sought) -> part.Nearest | None:
        """Return rows with items near the queries, see `part.Part`."""
        counts = self.compared.counts
        passing, items = int(counts[sought.rows].sum()), len(self.compared.items)
        gain = _MATRIX_GAIN if len(sought.queries) >= _MANY else 1
        ef = choice.graph_ef(
            choice.Question(passing // gain, max(1, items // gain), sought.count, sought.ef, self.m)
        )
        if self.engine is None or ef == 0:
            return None
        selected = None
        if passing < items:
            chosen = np.zeros(len(counts), np.bool_)
            chosen[sought.rows] = True
            selected = bits.of_mask(np.repeat(chosen, counts))
        found = self.engine.search(sought.queries, min(sought.count, passing), selected, base.Effort(ef=ef))
        if (found.rows[:, 0] < 0).any():
            return None
        return part.nearest_of(found, self.compared.owners(found.rows[found.rows >= 0]))


def open_field(folder: Path, number: int, described: descriptor.Descriptor) -> SealedField:
    """Open field `number` of a segment whose files were checked.

    Raises:
        DataLossError: a file is not of its format.
    """
    recipe = described.recipe
    names = names_of(number, recipe.metric)
    if names.offsets not in described.files:
        nothing = ragged.none(described.rows, recipe.vectors[number].dimensions)
        return SealedField(nothing, nothing, None, recipe.hnsw.m)
    offsets = offsets_file.read(folder / names.offsets)
    stored = compared = vectors_file.VectorsFile(folder / names.vectors)
    if names.comparable != names.vectors:
        compared = vectors_file.VectorsFile(folder / names.comparable)
    if len(offsets) != described.rows + 1 or offsets[-1] != stored.rows:
        raise errors.DataLossError(f"{folder / names.offsets} does not fit {names.vectors}")
    engine = None
    spec = recipe.field_spec
    if all(names.start + name in described.files for name in registry.files_of(spec)):
        engine = registry.open_engine(spec, compared, compared.rows, base.Home(folder, names.start))
    return SealedField(
        ragged.Ragged(offsets, stored.vectors),
        ragged.Ragged(offsets, compared.vectors),
        engine,
        recipe.hnsw.m,
    )
