"""Vector fields in codes: bytes that searches walk over, recall and CPU, beside the same fields in full.

Every shard holds the same rows and is asked the same queries in turns: a busy machine is alike for all.
"""

import asyncio
import contextlib
import pathlib
import tempfile
import time
from collections.abc import Iterator

import multivector
import numpy as np
import options
import report

from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.limits import estimates

CODES = config.QuantizationKind
VARIANTS = {
    "none": config.Quantization(),
    "float16": config.Quantization(kind=CODES.FLOAT16),
    "sq8": config.Quantization(kind=CODES.SQ8),
    "sq8, oversampling 1": config.Quantization(kind=CODES.SQ8, oversampling=1),
    "pq 8x": config.Quantization(kind=CODES.PQ, ratio=8),
    "rabitq": config.Quantization(kind=CODES.RABITQ),
    "rabitq, oversampling 1": config.Quantization(kind=CODES.RABITQ, oversampling=1),
    "rabitq, no rescore": config.Quantization(kind=CODES.RABITQ, rescore=False),
}
TOKEN_ROWS, NAMED_ROWS, ROWS_QUICK = 2_000, 10_000, 1_200


def measure(given: options.Options) -> Iterator[report.Section]:
    """Measure a token matrix, and then two named vectors weighed with the values."""
    queries = multivector.QUERIES_QUICK if given.quick else multivector.QUERIES
    for kind, rows in ((multivector.late, TOKEN_ROWS), (multivector.weighted, NAMED_ROWS)):
        size = (ROWS_QUICK if given.quick else rows, multivector.DIMENSIONS, queries, multivector.TOKENS)
        yield asyncio.run(_measure(kind, multivector.passages(*size)))


async def _measure(kind: multivector.Kind, data: multivector.Passages) -> report.Section:
    late = kind is multivector.late
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as root:
        rooms = {}
        for name, code in VARIANTS.items():
            options.say(f"a shard with fields in {name} is loaded")
            folder = pathlib.Path(root) / name
            folder.mkdir()
            rooms[name] = multivector.Room(folder, data, _fields(data.tokens.shape[1], code, late=late))
            await rooms[name].load()
        costs, recalls = await _ask(kind, data, rooms)
        lines: list[list[report.Cell]] = [
            [name, *_held(room), recalls[name], costs[name], costs[name] / costs["none"]]
            for name, room in rooms.items()
        ]
        with contextlib.suppress(asyncio.CancelledError):
            for room in rooms.values():
                await room.served.close()
    rows = len(data.offsets) - 1
    what = f"a token matrix with {len(data.tokens):,} vectors" if late else "values, a title and a summary"
    text = (
        f"{rows:,} rows with {what} of {data.tokens.shape[1]} dimensions, cosine, M 16, the values in full. "
        "Bytes a row are of what searches of the fields walk over, with links: computed, and of the files. "
        f"CPU is the process's, {len(data.asked)} queries of all shards in turns."
    )
    header = ["code of fields", "formula B/row", "files B/row", "recall@10", "CPU ms a query", "beside none"]
    title = "Token matrices in codes" if late else "Named vectors in codes"
    return report.Section(title, text, header, lines)


def _fields(dimensions: int, code: config.Quantization, *, late: bool) -> tuple[config.VectorField, ...]:
    names = ("body",) if late else ("title", "summary")
    return tuple(
        config.VectorField(name=name, dimensions=dimensions, late_interaction=late, quantization=code)
        for name in names
    )


def _held(room: multivector.Room) -> tuple[float, float]:
    """Return the bytes a row of the fields' engines: by the formula, and of the files that are read."""
    generation, computed, held, rows = room.generation, 0.0, 0, 0
    for view in room.opened.shard.snapshot.sealed:
        described = view.segment.descriptor
        rows += described.rows
        bare = described.model_copy(
            update={
                "files": {name: one for name, one in described.files.items() if name.startswith("field-")}
            }
        )
        resident = estimates.resident_of(bare)
        held += resident.graphs + resident.wanted
        for field in generation.vectors:
            items = len(view.segment.field(field.name).compared.items)
            computed += estimates.engine_memory.needed(generation.of_field(field), items).of(items)
    return computed / rows, held / rows


async def _ask(
    kind: multivector.Kind, data: multivector.Passages, rooms: dict[str, multivector.Room]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the median CPU milliseconds of a query and the recall, by variant."""
    took: dict[str, list[float]] = {name: [] for name in rooms}
    hits = dict.fromkeys(rooms, 0)
    for asked in data.asked:
        parts = kind(asked)
        exact = shard_pb2.Query(parts=parts, top_k=multivector.K, exact=True)
        truth = {*(await rooms["none"].ask(exact))}
        for name, room in rooms.items():
            begin = time.process_time()
            found = await room.ask(shard_pb2.Query(parts=parts, top_k=multivector.K))
            took[name].append(1000 * (time.process_time() - begin))
            hits[name] += len({*found} & truth)
    wanted = multivector.K * len(data.asked)
    medians = {name: float(np.median(each)) for name, each in took.items()}
    return medians, {name: f"{count / wanted:.3f}" for name, count in hits.items()}
