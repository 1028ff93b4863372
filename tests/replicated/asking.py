"""Requests to one shard, and what comes back, in the few forms that tests need."""

import threading

import numpy as np
from crashing import node
from replicated import router

from vectorfleet_shardnode.api import shard_pb2 as pb


def rows(first, count):
    """Return rows with ids that count from `first`."""
    vectors = np.arange(first * node.DIMENSIONS, (first + count) * node.DIMENSIONS, dtype="<f4")
    ids = [f"row-{number}" for number in range(first, first + count)]
    return pb.Rows(
        ids=ids, vectors=vectors.tobytes(), metadata=[b'{"n":%d}' % n for n in range(first, first + count)]
    )


def upsert(first, count=1, write_id=b""):
    """Return a write of rows."""
    return pb.WriteRequest(namespace="n", upsert=pb.Upsert(rows=rows(first, count)), write_id=write_id)


def ids_of(stub, **demand):
    """Return every id that a replica lists."""
    return set(stub.List(pb.ListRequest(namespace="n", limit=10_000, **demand)).ids)


def write(group, first, count=1):
    """Write rows as a gateway would."""
    return router.Router(group.stubs, threading.Event()).Write(upsert(first, count))


def level(group, numbers=None):
    """Wait until replicas are level with each other."""
    group.wait_for(lambda: group.are_level(numbers))
