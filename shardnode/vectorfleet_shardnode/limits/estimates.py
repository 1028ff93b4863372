"""How many bytes things take in memory: what is written, sealed, merged, opened and replayed. Pure.

The factors were measured (docs/memory.md) and err on the large side. Only anonymous memory counts as
needed: pages of files are the kernel's to drop; those that quick searches want beside it are told apart.
"""

import dataclasses
from collections.abc import Sequence

from .. import records, sketching
from .. import shape as shapes
from ..api import config
from ..engines import memory as engine_memory
from ..engines import registry
from ..segments import descriptor, field_files, sparse_files, writer
from ..settings import Tuning
from . import memory

ROW_BYTES = 320
"""A growing row's places in dictionaries, lists and columns, and the objects that these are made of."""
VALUE_BYTES = 96
"""A value of a growing row's metadata, decoded for filters: its object, its place, and that of its name."""
WORD_BYTES = 32
"""A word of a text field: its term in the row and in the postings."""
WORKING_FACTOR = 8
"""A write while it is written: as it came, was parsed, goes to the log, normalised; allocators keep some."""
WORKING_BYTES = 4 << 20
"""What goes up and down with writes, whatever their size."""
REPLAYED_FACTOR = 2.5
"""Metadata that the log holds, once they grow; of many short values they come to more."""
GATHERED_FACTOR = 16
"""Metadata while the filter indexes of a segment are made of it."""
BUFFER_BYTES = 16 << 20
"""What writing a segment holds of vectors, normalised and not, whatever their number."""
BUILDER_BYTES = 72 << 20
"""A builder process that has nothing to do yet."""
COLUMN_BYTES = 64
"""Of `columns.arrow` for each row beside its metadata."""
SPARSE_COPIES = 4
"""Of sparse values while they grow: as they came, and by dimension, where each may have one of its own."""
SORTING_BYTES = 64 << 20
"""What writing a segment holds of sparse values while they are sorted, whatever their number."""
UNFLUSHED = 3
"""Growing segments, the frozen ones with them, that wait to be flushed at most."""


@dataclasses.dataclass(frozen=True)
class Resident:
    """What an open segment holds, in bytes.

    Attributes:
        needed: what can't be dropped.
        graphs: the part of it that searching exactly does without.
        wanted: pages of files that quick searches read all the time.
    """

    needed: int
    graphs: int
    wanted: int


@dataclasses.dataclass(frozen=True)
class Merged:
    """What a merge takes: at its height while it is built, and of the serving process once it is open."""

    building: int
    opened: int
    disk: int


def write_of(rows: records.Rows, shape: shapes.Shape, waiting: int) -> memory.Write:
    """Return what rows take once they grow, and what it takes to seal them.

    Args:
        rows: what is written.
        shape: of the index.
        waiting: bytes of metadata that the growing segment has already.
    """
    items = rows.vectors.nbytes + sum(field.items.nbytes for field in rows.fields.values())
    pairs = rows.sparse.items.nbytes if rows.sparse is not None else 0
    metadata = sum(map(len, rows.metadata))
    growth = _copies(shape.metric) * items + sum(map(metadata_of, rows.metadata)) + SPARSE_COPIES * pairs
    growth += (ROW_BYTES + sketching.bytes_of(shape.dimensions)) * len(rows.ids) + sum(map(len, rows.ids))
    if shape.schema.text:
        growth += WORD_BYTES * sum(content.count(b" ") for content in rows.metadata)
    flush = BUFFER_BYTES + GATHERED_FACTOR * (waiting + metadata) + (SORTING_BYTES if pairs else 0)
    return memory.Write(growth, flush, WORKING_BYTES + WORKING_FACTOR * (items + pairs + metadata))


def metadata_of(content: bytes) -> int:
    """Return what a row's metadata, JSON, take while the row grows: as they came, and decoded.

    Decoded, a string with a character beyond ASCII may have four bytes for each of its characters.
    """
    values = content.count(b",") + content.count(b"{") + content.count(b"[")
    return len(content) * (2 if content.isascii() else 5) + VALUE_BYTES * values


def replay_of(log_bytes: int, shape: shapes.Shape, tuning: Tuning) -> int:
    """Return what a log comes to in memory at most; its own pages are the kernel's to drop."""
    copies, vector = _copies(shape.metric), 4 * shape.dimensions
    factor = max(REPLAYED_FACTOR, (copies * vector + ROW_BYTES) / (vector + 20))
    bound = tuning.growing_rows * ROW_BYTES + tuning.growing_bytes * max(copies, REPLAYED_FACTOR)
    return int(min(log_bytes * factor, UNFLUSHED * bound))


def resident_of(described: descriptor.Descriptor) -> Resident:
    """Return what a segment holds once it is open."""
    searched = ["", *(field_files.names_of(number).start for number in range(len(described.recipe.vectors)))]
    read = sum(_bytes(described, start, _READ_WHOLE) for start in searched)
    live = (2 + (writer.SIGNS in described.files)) * described.rows
    return Resident(live + read, read, sum(_wanted(described, start) for start in searched))


_READ_WHOLE = (registry.GRAPH, registry.HNSWLIB)
_MAPPED = (registry.CODES, registry.LISTS)


def _wanted(described: descriptor.Descriptor, start: str) -> int:
    """Return the pages that are read all the time of the values, or of the field whose files begin so."""
    if mapped := _bytes(described, start, _MAPPED):
        return mapped
    if not _bytes(described, start, _READ_WHOLE):
        return 0
    vectors = _bytes(described, start, (writer.COMPARABLE,)) or _bytes(described, start, (writer.VECTORS,))
    return vectors + _bytes(described, start, (writer.SIGNS,))


def _bytes(described: descriptor.Descriptor, start: str, names: Sequence[str]) -> int:
    held = (described.files.get(start + name) for name in names)
    return sum(summed.bytes for summed in held if summed)


def merge_of(
    inputs: Sequence[tuple[descriptor.Descriptor, int]], making: config.Generation | None, *, extended: bool
) -> Merged:
    """Return what merging segments takes.

    Args:
        inputs: the segments, and how many rows of each live.
        making: whose engine is built over them; None for none.
        extended: whether the graph of one is extended, whose vectors are then held twice for a moment.
    """
    rows = sum(live for _, live in inputs)
    columns = sum(_share(described, writer.COLUMNS, live) for described, live in inputs)
    metadata = max(0, columns - rows * COLUMN_BYTES)
    vectors = sum(_share(described, writer.VECTORS, live) for described, live in inputs)
    fields = _field_bytes(inputs)
    sparse = sum(
        _share(described, name, live)
        for described, live in inputs
        for name in (sparse_files.ROWS, sparse_files.POSTINGS)
    )
    building = BUILDER_BYTES + BUFFER_BYTES + GATHERED_FACTOR * metadata + 2 * columns
    building += SORTING_BYTES if sparse else 0
    engines = [(making, rows), *_field_engines(making, fields)] if making else []
    built = sum(_built(*engine) for engine in engines)
    twice = vectors if making and extended else 0
    return Merged(
        building + built + twice,
        2 * rows + sum(_opened(*engine) for engine in engines),
        columns + metadata + 2 * (vectors + sum(fields.values())) + sparse + built,
    )


def _field_bytes(inputs: Sequence[tuple[descriptor.Descriptor, int]]) -> dict[str, int]:
    """Return the bytes of vectors that the live rows have in each vector field, about."""
    found: dict[str, int] = {}
    for described, live in inputs:
        for number, field in enumerate(described.recipe.vectors):
            held = _share(described, field_files.names_of(number).vectors, live)
            found[field.name] = found.get(field.name, 0) + held
    return found


def _field_engines(making: config.Generation, held: dict[str, int]) -> list[tuple[config.Generation, int]]:
    """Return what is built over each vector field, and over how many vectors."""
    return [
        (making.of_field(field), held.get(field.name, 0) // (4 * field.dimensions))
        for field in making.vectors
    ]


def _built(making: config.Generation, rows: int) -> int:
    return round(engine_memory.needed(making, rows).build * rows)


def _opened(making: config.Generation, rows: int) -> int:
    """Return what the serving process reads whole of an engine; the rest of it is mapped."""
    match making.engine:
        case config.EngineKind.HNSW:
            return round(engine_memory.links(making.hnsw.m) * rows)
        case config.EngineKind.HNSWLIB:
            return engine_memory.needed(making, rows).of(rows)
    return 0


def _share(described: descriptor.Descriptor, name: str, live: int) -> int:
    held = described.files.get(name)
    return held.bytes * live // max(1, described.rows) if held else 0


def _copies(metric: config.Metric) -> int:
    """Return how often the growing segment holds a vector: under cosine a second time, normalised."""
    return 2 if metric is config.Metric.COSINE else 1
