"""Recall of the graph before and after what changes its files: a kill, many updates, a copied folder."""

import shutil
import signal
import time

import numpy as np
import pytest

from vectorfleet_shardnode.api import shard_pb2 as pb

ROWS, DIMENSIONS, K = 4_000, 24, 10
FLOOR, LEEWAY = 0.95, 0.01
NUMBERS = np.random.default_rng(29)
QUERIES = NUMBERS.standard_normal((100, DIMENSIONS)).astype("<f4")


def upsert(stub, rows):
    """Write rows of these numbers with drawn vectors, 500 at a time."""
    for at in range(0, len(rows), 500):
        ids = [f"id{row}" for row in rows[at : at + 500]]
        vectors = NUMBERS.standard_normal((len(ids), DIMENSIONS)).astype("<f4")
        stub.Write(pb.WriteRequest(upsert=pb.Upsert(rows=pb.Rows(ids=ids, vectors=vectors.tobytes()))))


def settle(stub):
    """Wait until every row is in one graph."""
    deadline = time.monotonic() + 60
    while (
        (report := stub.Report(pb.ReportRequest())).unindexed_rows or report.building or report.segments != 1
    ):
        assert time.monotonic() < deadline, report
        time.sleep(0.05)
    assert report.rows == ROWS


def recall(stub):
    """Return the share of the true nearest rows that the graph finds."""
    found = [matches(stub, exact) for exact in (False, True)]
    shared = [len(set(graph) & set(truth)) for graph, truth in zip(*found, strict=True)]
    return sum(shared) / (K * len(QUERIES))


def matches(stub, exact):
    """Return the ids of each query's matches."""
    queries = [pb.Query(vector=query.tobytes(), top_k=K, exact=exact) for query in QUERIES]
    return [list(result.rows.ids) for result in stub.Search(pb.SearchRequest(queries=queries)).results]


def test_r29_recall_survives_restart_compaction_and_restore(make_node, tmp_path):
    """It differs by 0.01 at most and stays above 0.95, and exact search finds the same rows as before."""
    node = make_node(dimensions=DIMENSIONS, growing_rows=500, settle_seconds=0.1, build_threads=1)
    stub = node.serve()
    upsert(stub, range(ROWS))
    settle(stub)
    first, truth = recall(stub), matches(stub, exact=True)
    assert first >= FLOOR

    node.end(signal.SIGKILL)
    stub = node.serve()
    assert recall(stub) == pytest.approx(first, abs=LEEWAY)
    assert matches(stub, exact=True) == truth

    upsert(stub, NUMBERS.permutation(ROWS)[: ROWS // 2].tolist())
    settle(stub)
    compacted, truth = recall(stub), matches(stub, exact=True)
    assert compacted == pytest.approx(first, abs=LEEWAY)
    assert compacted >= FLOOR

    node.end()
    shutil.move(tmp_path / "data", tmp_path / "copy")
    shutil.copytree(tmp_path / "copy", tmp_path / "data")
    stub = node.serve()
    assert recall(stub) == pytest.approx(compacted, abs=LEEWAY)
    assert matches(stub, exact=True) == truth
