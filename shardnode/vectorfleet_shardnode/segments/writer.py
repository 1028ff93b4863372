"""Writes the files of a sealed segment from rows of other parts: sorts, copies, and builds the engine.

Runs in the serving process for a flush (few rows, no graph) and in the builder's for everything else.
The vectors are copied in pieces, so memory does not grow with the segment, except for the graph's build.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import failpoints, files, ragged
from ..api import config
from ..arrays import Hashes, RowNumbers, Vectors
from ..engines import base, clusters, registry, signs
from ..text import postings
from . import (
    columns,
    descriptor,
    extension,
    field_files,
    filter_file,
    measuring,
    sparse_files,
    text_file,
    vectors_file,
)

Texts = Callable[[str], postings.Postings]
"""Gives the postings of a text field, by row number."""

COLUMNS, VECTORS, COMPARABLE = "columns.arrow", "vectors.bin", "comparable.bin"
FILTERS, CLUSTERS, SIGNS = "filters.bin", "clusters.bin", "signs.bin"
_CHUNK_BYTES = 2 << 20  # what is held while it is normalised is six times as much


@dataclasses.dataclass(frozen=True)
class Source:
    """Rows of one part: a table of namespace, id, metadata, seq; hashes; and where the vectors are.

    `rows` are the numbers of these rows in `vectors`, in the vector fields, in the postings of texts and in
    the sparse values, which are None where no row has any.
    """

    table: pa.Table
    hashes: Hashes
    vectors: Vectors
    rows: RowNumbers
    fields: dict[str, ragged.Ragged] = dataclasses.field(default_factory=dict)
    texts: Texts = lambda _: postings.of_rows([])
    sparse: ragged.Ragged | None = None


def table_of(namespaces: pa.Array, ids: pa.Array, metadata: pa.Array, seqs: pa.Array) -> pa.Table:
    """Return columns in the types that they are stored in."""
    return pa.table(
        {
            "namespace": namespaces.cast(pa.large_string()),
            "id": ids.cast(pa.large_string()),
            "metadata": metadata.cast(pa.large_binary()),
            "seq": seqs.cast(pa.uint64()),
        }
    )


@dataclasses.dataclass(frozen=True)
class Extended:
    """The graphs to extend: which of the sources' they are; that of the values, those of vector fields."""

    source: int
    values: extension.Graph
    fields: dict[str, extension.Graph]


def write(
    folder: Path, sources: Sequence[Source], recipe: descriptor.Recipe, extended: Extended | None = None
) -> descriptor.Descriptor:
    """Write a segment of all the sources' rows, one at least, into an existing folder.

    Everything is durable when this returns, except the folder's own name.

    Args:
        folder: where to.
        sources: the rows.
        recipe: what the segment is searched with.
        extended: graphs of the same recipe, which the other sources' rows are inserted into.

    Raises:
        OSError: the disk is full or failing.
    """
    table = pa.concat_tables([source.table for source in sources])
    order = (
        pc.sort_indices(table, [("namespace", "ascending"), ("id", "ascending")]).to_numpy().astype(np.int64)
    )
    hashes = np.concatenate([source.hashes for source in sources])[order]
    columns.write(folder / COLUMNS, table.take(pa.array(order)), hashes)
    if len(order) >= filter_file.MIN_ROWS:
        metadata = columns.Columns(folder / COLUMNS).every_metadata
        filter_file.write(folder / FILTERS, metadata, len(order))
    chunks = functools.partial(_chunks, sources, order)
    vectors_file.write(folder / VECTORS, recipe.dimensions, len(order), chunks())
    taken = extension.Taken.over(extended.values, _nodes(sources, extended)[order]) if extended else None
    ghosts = taken.ghosts if taken else np.zeros((0, recipe.dimensions), np.float32)
    if recipe.metric is config.Metric.COSINE or len(ghosts):
        comparable = (base.comparable(recipe.metric, chunk) for chunk in chunks())
        rows = len(order) + len(ghosts)
        vectors_file.write(
            folder / COMPARABLE, recipe.dimensions, rows, itertools.chain(comparable, [ghosts])
        )
    found = {
        field.name: field_files.write(
            folder, number, recipe, _field_sources(field.name, sources, extended), order
        )
        for number, field in enumerate(recipe.vectors)
    }
    fields = {name: measured for name, measured in found.items() if measured}
    for number, name in enumerate(recipe.text):
        held = [postings.Source(source.texts(name), source.rows) for source in sources]
        text_file.write(folder / text_file.name_of(number), postings.merged(held, order))
    pairs = sparse_files.write(folder, [(source.sparse, source.rows) for source in sources], order)
    measured = _build(folder, recipe, len(order), taken)
    return _seal(folder, table.column("seq"), recipe, _Told(len(ghosts), pairs, measured, fields))


def _build(
    folder: Path, recipe: descriptor.Recipe, rows: int, taken: extension.Taken | None
) -> descriptor.Measured | None:
    """Build the engine, and measure it where it trades recall for memory or speed."""
    spec, home = recipe.spec, base.Home(folder)
    if spec.exact:
        return None
    stored = vectors_file.VectorsFile(compared_path(folder))
    registry.build(spec, stored.vectors, home, taken.extension(stored.vectors) if taken else None)
    if spec.engine is config.EngineKind.HNSW and not spec.coded and rows >= clusters.MIN_ROWS:
        clusters.build(spec.metric, stored.vectors[:rows], folder / CLUSTERS)
        if recipe.dimensions >= signs.MIN_DIMENSIONS:
            grouped = clusters.Clusters(folder / CLUSTERS, spec.metric)
            signs.build(spec.metric, stored.vectors[:rows], grouped, folder / SIGNS)
    return measuring.measured(spec, stored, rows, home) if spec.measured else None


def _nodes(sources: Sequence[Source], extended: Extended) -> RowNumbers:
    """Return the node that each row of the sources was in the graph of the values, -1 for none."""
    nodes = [np.full(len(source.rows), -1, np.int64) for source in sources]
    nodes[extended.source] = sources[extended.source].rows
    return np.concatenate(nodes)


def _field_sources(
    name: str, sources: Sequence[Source], extended: Extended | None
) -> list[field_files.Source]:
    graphs = {extended.source: extended.fields.get(name)} if extended else {}
    return [
        field_files.Source(source.fields[name], source.rows, graphs.get(number))
        for number, source in enumerate(sources)
    ]


def compared_path(folder: Path) -> Path:
    """Return the file whose vectors are compared: rows, then ghosts."""
    own = folder / COMPARABLE
    return own if own.exists() else folder / VECTORS


@dataclasses.dataclass(frozen=True)
class _Told:
    """What a descriptor tells of the files; see `descriptor.Descriptor`."""

    ghosts: int
    pairs: int
    measured: descriptor.Measured | None
    fields: dict[str, descriptor.Measured]


def _seal(
    folder: Path, seqs: pa.ChunkedArray, recipe: descriptor.Recipe, told: _Told
) -> descriptor.Descriptor:
    sums = {}
    for path in sorted(folder.iterdir()):
        failpoints.reached("segment-file.written")
        files.fsync_path(path)
        failpoints.reached("segment-file.synced")
        sums[path.name] = descriptor.sum_of(path)
    bounds = pc.min_max(seqs)
    sealed = descriptor.Descriptor(
        recipe=recipe,
        rows=len(seqs),
        ghosts=told.ghosts,
        sparse_values=told.pairs,
        first_seq=bounds["min"].as_py(),
        last_seq=bounds["max"].as_py(),
        files=sums,
        measured=told.measured,
        measured_fields=told.fields,
    )
    content = sealed.model_dump_json(indent=1).encode()
    files.write_durably(folder / descriptor.FILE_NAME, content, "descriptor")
    return sealed


def _chunks(sources: Sequence[Source], order: RowNumbers) -> Iterator[Vectors]:
    """Yield the vectors of the concatenated sources in this order, piece by piece."""
    starts = np.cumsum([0, *(len(source.rows) for source in sources)])
    step = max(1, _CHUNK_BYTES // (4 * sources[0].vectors.shape[1]))
    for at in range(0, len(order), step):
        wanted = order[at : at + step]
        owners = np.searchsorted(starts, wanted, side="right") - 1
        chunk = np.empty((len(wanted), sources[0].vectors.shape[1]), np.float32)
        for number, source in enumerate(sources):
            mine = owners == number
            chunk[mine] = source.vectors[source.rows[wanted[mine] - starts[number]]]
        yield chunk
