"""Sparse values on replicas: shipped by the log, copied with segments, and there after a handover."""

import shutil

import numpy as np
from replicated.asking import level, rows

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.api import shard_pb2 as pb


def upsert(group, first, count):
    """Write rows of which every second one has sparse values."""
    sent = rows(first, count)
    counts = [number % 2 * (number % 5 + 1) for number in range(first, first + count)]
    indices = np.concatenate([np.arange(size) * 2**29 for size in counts]).astype("<u4")
    values = np.random.default_rng(first).normal(size=sum(counts)).astype("<f4")
    sent.fields.add(name=config.SPARSE, counts=counts, indices=indices.tobytes(), vectors=values.tobytes())
    group.stubs[group.primary()].Write(pb.WriteRequest(namespace="n", upsert=pb.Upsert(rows=sent)))


def read(stub, count):
    """Return all rows as a replica has them, and what its postings answer."""
    ids = [f"row-{number}" for number in range(count)]
    fetched = stub.Fetch(pb.FetchRequest(namespace="n", ids=ids, include_values=True)).rows
    assert len(fetched.ids) == count
    parts = [
        pb.QueryPart(vectors=np.full(8, 1e-6, "<f4").tobytes(), weight=1),
        pb.QueryPart(
            field=config.SPARSE,
            indices=np.array([2**30, 7], "<u4").tobytes(),
            vectors=np.array([1000, 1], "<f4").tobytes(),
            weight=1,
        ),
    ]
    query = pb.Query(namespace="n", parts=parts, top_k=20)
    [matches] = stub.Search(pb.SearchRequest(queries=[query])).results
    return fetched.SerializeToString(deterministic=True), list(matches.rows.ids)


def test_replicas_have_the_same_sparse_values(make_group):
    """One that follows the log, one that copied segments since it lost its volume, and a new primary."""
    group = make_group(metric=config.Metric.DOTPRODUCT)
    for number in range(0, 400, 20):
        upsert(group, number, 20)
    group.wait_for(lambda: group.state(group.primary() or 0).log_begin > 1)
    group.replicas[2].end()
    shutil.rmtree(group.replicas[2].data)
    group.replicas[2].start()
    group.wait_for(lambda: group.state(2))
    group.operator.tell(learners=[2])
    level(group)
    first, best = read(group.stubs[0], 400)
    assert len(best) == 20
    for stub in group.stubs[1:]:
        assert read(stub, 400) == (first, best)
    group.operator.change(range(3))
    level(group)
    assert group.operator.change(range(3), primary=2) == 2
    group.wait_for(lambda: group.primary() == 2)
    upsert(group, 400, 20)
    level(group)
    assert read(group.stubs[0], 420) == read(group.stubs[1], 420) == read(group.stubs[2], 420)
