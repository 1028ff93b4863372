"""The vector fields of a sealed segment: ragged columns in files, and an engine over their items.

Field n of the segment's recipe has `field-<n>-offsets.bin` and `field-<n>-vectors.bin`, under cosine
`field-<n>-comparable.bin`, and where it has items enough what its engine needs, such as
`field-<n>-graph.faiss` and `field-<n>-codes.faiss`; a field without items has no files.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import bits, errors, ragged
from ..api import config
from ..arrays import RowNumbers, Vectors
from ..engines import base, choice, registry
from . import descriptor, extension, measuring, offsets_file, part, vectors_file

_CHUNK_BYTES = 2 << 20
# Many vectors against all items are one matrix product: measured at 128 dimensions with 16 vectors.
_MANY, _MATRIX_GAIN = 4, 8


@dataclasses.dataclass(frozen=True)
class Source:
    """A field of one part, those of its rows that are wanted, and its graph, if it is to be extended."""

    column: ragged.Ragged
    rows: RowNumbers
    graph: extension.Graph | None = None

    @property
    def nodes(self) -> RowNumbers:
        """The node that each item of the rows is in the graph, -1 without one."""
        positions = self.column.positions(self.rows)
        return positions if self.graph else np.full(len(positions), -1, np.int64)


@dataclasses.dataclass(frozen=True)
class Names:
    """The files of one field."""

    offsets: str
    vectors: str
    comparable: str
    start: str


def names_of(number: int) -> Names:
    """Return the files of field `number`."""
    start = f"field-{number}-"
    return Names(start + "offsets.bin", start + "vectors.bin", start + "comparable.bin", start)


def write(
    folder: Path, number: int, recipe: descriptor.Recipe, sources: Sequence[Source], order: RowNumbers
) -> descriptor.Measured | None:
    """Write field `number` of the recipe, the sources' rows concatenated and in this order.

    Returns what its codes find, None where it has none.

    Raises:
        OSError: the disk is full or failing.
    """
    counts = np.concatenate([source.column.counts[source.rows] for source in sources])[order]
    items = int(counts.sum())
    if not items:
        return None
    names, dimensions = names_of(number), recipe.vectors[number].dimensions
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    offsets_file.write(folder / names.offsets, offsets)
    chunks = functools.partial(_chunks, sources, order, offsets)
    vectors_file.write(folder / names.vectors, dimensions, items, chunks())
    spec = recipe.field_spec(number)
    indexed = not spec.exact and items >= recipe.index_min_items
    taken = _taken(sources, order) if indexed else None
    ghosts = taken.ghosts if taken else np.zeros((0, dimensions), np.float32)
    compared = folder / names.vectors
    if recipe.metric is config.Metric.COSINE or len(ghosts):
        compared = folder / names.comparable
        comparable = (base.comparable(recipe.metric, chunk) for chunk in chunks())
        vectors_file.write(compared, dimensions, items + len(ghosts), itertools.chain(comparable, [ghosts]))
    if not indexed:
        return None
    nodes, home = vectors_file.VectorsFile(compared), base.Home(folder, names.start)
    registry.build(spec, nodes.vectors, home, taken.extension(nodes.vectors) if taken else None)
    return measuring.measured(spec, nodes, items, home) if spec.coded else None


def _taken(sources: Sequence[Source], order: RowNumbers) -> extension.Taken | None:
    """Return what becomes of the graph that is extended, None where there is none."""
    graphs = [source.graph for source in sources if source.graph]
    if not graphs:
        return None
    counts = np.concatenate([source.column.counts[source.rows] for source in sources])
    layout = ragged.of_counts(counts, np.zeros((0, 0), np.float32))
    nodes = np.concatenate([source.nodes for source in sources])
    return extension.Taken.over(graphs[0], nodes[layout.positions(order)])


def _chunks(sources: Sequence[Source], order: RowNumbers, offsets: RowNumbers) -> Iterator[Vectors]:
    """Yield the items of the ordered rows, about `_CHUNK_BYTES` at a time."""
    starts = np.cumsum([0, *(len(source.rows) for source in sources)])
    step = max(1, _CHUNK_BYTES // (4 * sources[0].column.items.shape[1]))
    at = 0
    while at < len(order):
        stop = max(at + 1, int(np.searchsorted(offsets, offsets[at] + step, side="right")) - 1)
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
        spec: what it was built from.
        graph: the engine's graph, where it is one of FAISS's that may be extended.
    """

    stored: ragged.Ragged
    compared: ragged.Ragged
    engine: base.Engine | None
    spec: base.Spec
    graph: extension.Graph | None = None

    def nearest(self, sought: part.Sought) -> part.Nearest | None:
        """Return rows with items near the queries, see `part.Part`."""
        if self.engine is None:
            return None
        counts = self.compared.counts
        passing, items = int(counts[sought.rows].sum()), len(self.compared.items)
        wanted = self._effort(sought, passing)
        effort = self.engine.widened(passing, sought.count, wanted) if wanted else None
        if effort is None:
            return None
        selected = None
        if passing < items:
            chosen = np.zeros(len(counts), np.bool_)
            chosen[sought.rows] = True
            selected = bits.of_mask(np.repeat(chosen, counts))
        found = self.engine.search(sought.queries, min(sought.count, passing), selected, effort)
        if (found.rows[:, 0] < 0).any():
            return None
        return part.nearest_of(found, self.compared.owners(found.rows[found.rows >= 0]))

    def _effort(self, sought: part.Sought, passing: int) -> base.Effort | None:
        """Return how much to look at, None to compare with every vector that passes.

        Where there are codes the full vectors may have to come from the disk, so that no matrix product is
        cheap. The deeper a look, the less it needs oversampling: a graph gives no more than `MAX_EF`.
        """
        items, times = len(self.compared.items), 1
        if self.spec.coded and sought.rescore:
            wanted = sought.oversampling or self.spec.quantization.oversampling
            times = max(1, min(wanted, choice.MAX_EF // sought.count))
        gain = _MATRIX_GAIN if len(sought.queries) >= _MANY and not self.spec.coded else 1
        count, nodes = min(items, sought.count * times), max(1, items // gain)
        asked = choice.Question(passing // gain, nodes, count, sought.ef, self.spec.hnsw.m)
        if not choice.graph_ef(asked):
            return None
        return base.Effort(ef=sought.ef, oversampling=times, rescore=sought.rescore)


def open_field(
    folder: Path, number: int, described: descriptor.Descriptor, *, graphs: bool = True
) -> SealedField:
    """Open field `number` of a segment whose files were checked; without `graphs` no engine is opened.

    Raises:
        DataLossError: a file is not of its format.
    """
    recipe = described.recipe
    names = names_of(number)
    if names.offsets not in described.files:
        nothing = ragged.none(described.rows, recipe.vectors[number].dimensions)
        return SealedField(nothing, nothing, None, recipe.field_spec(number))
    offsets = offsets_file.read(folder / names.offsets)
    stored = compared = vectors_file.VectorsFile(folder / names.vectors)
    if names.comparable in described.files:
        compared = vectors_file.VectorsFile(folder / names.comparable)
    if len(offsets) != described.rows + 1 or offsets[-1] != stored.rows:
        raise errors.DataLossError(f"{folder / names.offsets} does not fit {names.vectors}")
    home, spec = base.Home(folder, names.start), recipe.field_spec(number)
    engine = graph = None
    if all(names.start + name in described.files for name in registry.files_of(spec)):
        if spec.coded:
            compared.expect_few()
        engine = registry.open_engine(spec, compared, stored.rows, home) if graphs else None
        if registry.GRAPH in registry.files_of(spec):
            graph = extension.Graph(home.path(registry.GRAPH), compared.vectors)
    items = compared.vectors[: stored.rows]
    return SealedField(
        ragged.Ragged(offsets, stored.vectors), ragged.Ragged(offsets, items), engine, spec, graph
    )
