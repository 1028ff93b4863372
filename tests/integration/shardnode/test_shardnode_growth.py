"""What rows take while they grow, in a real process that gets them over gRPC, against the estimate of it."""

import contextlib
import dataclasses
import functools
import json

import grpc
import numpy as np
import pytest

from vectorfleet_shardnode import ragged, records, shape, sparse
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.api import shard_pb2 as pb
from vectorfleet_shardnode.limits import estimates, meter

ROWS = 4_000
BATCH = 500
WORDS = [f"w{number:x}" for number in range(20_000)]


def none(_):
    """No metadata."""
    return


def three_fields(number):
    """A usual row."""
    return {"section": f"s{number % 30}", "price": number, "name": f"n{number:010d}"}


def thirty_fields(number):
    """Values that never repeat, so that nothing is shared."""
    return {f"field{at}": f"v{number * 30 + at:08d}" for at in range(30)}


def tags(number):
    """Many short strings, the dearest that there is for its bytes."""
    return {"tags": [f"{(number * 40 + at) % 97:02d}" for at in range(40)]}


def prose(number):
    """A text of 150 words."""
    drawn = np.random.default_rng(number).zipf(1.3, 150) % len(WORDS)
    return {"text": " ".join(WORDS[word] for word in drawn)}


def batch_of(dimensions, start, metadata, pairs):
    """Return ids, vectors, metadata, and so many sparse values of each row."""
    vectors = np.random.default_rng(start).standard_normal((BATCH, dimensions), np.float32)
    ids = [f"row-{number:010d}" for number in range(start, start + BATCH)]
    each = map(metadata, range(start, start + BATCH))
    content = [json.dumps(row).encode() if row else b"" for row in each]
    rows = records.Rows(ids, vectors, content)
    if not pairs:
        return rows
    numbers = np.random.default_rng(start)
    indices = np.concatenate([numbers.choice(2**20, pairs, replace=False) for _ in range(BATCH)])
    held = sparse.pairs_of(indices, numbers.exponential(size=len(indices)))
    return dataclasses.replace(rows, sparse=ragged.of_counts(np.full(BATCH, pairs), held))


def search(stub):
    """Ask by a sparse vector, where there may be one: the estimate counts the postings that it makes."""
    part = pb.QueryPart(field=config.SPARSE, indices=bytes(4), vectors=np.ones(1, "<f4").tobytes(), weight=1)
    with contextlib.suppress(grpc.RpcError):
        stub.Search(pb.SearchRequest(queries=[pb.Query(parts=[part], top_k=1)]))


@pytest.mark.parametrize(
    ("dimensions", "metric", "metadata", "text", "pairs"),
    [
        (384, "cosine", none, False, 0),
        (384, "dotproduct", three_fields, False, 0),
        (384, "cosine", thirty_fields, False, 0),
        (64, "cosine", tags, False, 0),
        (64, "cosine", prose, True, 0),
        (1_536, "cosine", none, False, 0),
        (1_536, "dotproduct", none, False, 0),
        (64, "dotproduct", none, False, 150),
    ],
)
def test_rows_take_no_more_than_is_estimated(make_node, dimensions, metric, metadata, text, pairs):
    """With the largest write's own needs beside them; and the estimate is no wild one.

    One batch comes first: what a process takes for its first write it takes once.
    """
    schema = config.Schema(text=("text",)) if text else config.Schema()
    node = make_node(
        dimensions=dimensions,
        metric=config.Metric(metric),
        growing_rows=1_000_000,
        growing_bytes=1 << 40,
        settle_seconds=1_000,
    )
    index = config.IndexConfig.model_validate_json((node.folder / "index.json").read_bytes())
    index = index.model_copy(update={"metadata": schema})
    (node.folder / "index.json").write_text(index.model_dump_json(by_alias=True))
    stub = node.serve()
    used = functools.partial(meter.anonymous_bytes, node.process.pid)
    estimated = working = before = 0
    for start in range(0, ROWS + BATCH, BATCH):
        rows = batch_of(dimensions, start, metadata, pairs)
        sent = pb.Rows(ids=rows.ids, vectors=rows.vectors.tobytes(), metadata=rows.metadata)
        if pairs:
            indices, values = (rows.sparse.items[name].tobytes() for name in ("index", "value"))
            counts = rows.sparse.counts.tolist()
            sent.fields.add(name=config.SPARSE, counts=counts, indices=indices, vectors=values)
        stub.Write(pb.WriteRequest(upsert=pb.Upsert(rows=sent)))
        if not start:
            search(stub)  # so is what it takes for its first query
            before = used()
            continue
        write = estimates.write_of(rows, shape.Shape(index.serving.metric, dimensions, schema=schema), 0)
        estimated, working = estimated + write.growth, max(working, write.working)
    if pairs:
        search(stub)
    grown = used() - before
    told = f"{grown / ROWS:.0f} bytes a row, estimated {estimated / ROWS:.0f} and {working >> 20} MiB"
    assert grown <= estimated + working, told
    assert estimated <= 2 * grown, told
