"""Writes the files of a sealed segment from rows of other parts: sorts, copies, and builds the engine.

Runs in the serving process for a flush (few rows, no graph) and in the builder's for everything else.
The vectors are copied in pieces, so memory does not grow with the segment, except for the graph's build.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import files, ragged
from ..api import config
from ..arrays import Hashes, RowNumbers, Vectors
from ..engines import base, faiss_hnsw
from . import columns, descriptor, field_files, vectors_file

COLUMNS, VECTORS, COMPARABLE, GRAPH = "columns.arrow", "vectors.bin", "comparable.bin", "graph.faiss"
_CHUNK_ROWS = 16_384


@dataclasses.dataclass(frozen=True)
class Source:
    """Rows of one part: a table of namespace, id, metadata, seq; hashes; and where the vectors are.

    `rows` are the numbers of these rows in `vectors` and in the vector fields.
    """

    table: pa.Table
    hashes: Hashes
    vectors: Vectors
    rows: RowNumbers
    fields: dict[str, ragged.Ragged] = dataclasses.field(default_factory=dict)


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


def write(folder: Path, sources: Sequence[Source], recipe: descriptor.Recipe) -> descriptor.Descriptor:
    """Write a segment of all the sources' rows, one at least, into an existing folder.

    Everything is durable when this returns, except the folder's own name.

    Raises:
        OSError: the disk is full or failing.
    """
    table = pa.concat_tables([source.table for source in sources])
    order = (
        pc.sort_indices(table, [("namespace", "ascending"), ("id", "ascending")]).to_numpy().astype(np.int64)
    )
    hashes = np.concatenate([source.hashes for source in sources])[order]
    columns.write(folder / COLUMNS, table.take(pa.array(order)), hashes)
    chunks = functools.partial(_chunks, sources, order)
    vectors_file.write(folder / VECTORS, recipe.dimensions, len(order), chunks())
    if recipe.metric is config.Metric.COSINE:
        comparable = (base.comparable(recipe.metric, chunk) for chunk in chunks())
        vectors_file.write(folder / COMPARABLE, recipe.dimensions, len(order), comparable)
    for number, field in enumerate(recipe.vectors):
        given = [field_files.Source(source.fields[field.name], source.rows) for source in sources]
        field_files.write(folder, number, recipe, given, order)
    if recipe.engine is config.EngineKind.HNSW:
        stored = vectors_file.VectorsFile(folder / comparable_name(recipe.metric))
        faiss_hnsw.build(recipe.metric, stored.vectors, recipe.hnsw, folder / GRAPH)
    return _seal(folder, table.column("seq"), recipe)


def comparable_name(metric: config.Metric) -> str:
    """Return the name of the file whose vectors are compared."""
    return COMPARABLE if metric is config.Metric.COSINE else VECTORS


def _seal(folder: Path, seqs: pa.ChunkedArray, recipe: descriptor.Recipe) -> descriptor.Descriptor:
    sums = {}
    for path in sorted(folder.iterdir()):
        files.fsync_path(path)
        sums[path.name] = descriptor.sum_of(path)
    bounds = pc.min_max(seqs)
    sealed = descriptor.Descriptor(
        recipe=recipe,
        rows=len(seqs),
        first_seq=bounds["min"].as_py(),
        last_seq=bounds["max"].as_py(),
        files=sums,
    )
    files.write_durably(folder / descriptor.FILE_NAME, sealed.model_dump_json(indent=1).encode())
    return sealed


def _chunks(sources: Sequence[Source], order: RowNumbers) -> Iterator[Vectors]:
    """Yield the vectors of the concatenated sources in this order, piece by piece."""
    starts = np.cumsum([0, *(len(source.rows) for source in sources)])
    for at in range(0, len(order), _CHUNK_ROWS):
        wanted = order[at : at + _CHUNK_ROWS]
        owners = np.searchsorted(starts, wanted, side="right") - 1
        chunk = np.empty((len(wanted), sources[0].vectors.shape[1]), np.float32)
        for number, source in enumerate(sources):
            mine = owners == number
            chunk[mine] = source.vectors[source.rows[wanted[mine] - starts[number]]]
        yield chunk
