"""The shard node as a process: who is let in, what is refused, how it starts and stops."""

import json
import signal
import time

import grpc
import numpy as np
import pytest

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.api import shard_pb2 as pb


def rows(ids, vectors, metadata=()):
    """Return an upsert."""
    content = pb.Rows(ids=ids, vectors=np.asarray(vectors, "<f4").tobytes(), metadata=metadata)
    return pb.WriteRequest(upsert=pb.Upsert(rows=content))


def test_nothing_is_answered_without_the_token(make_node):
    """No token, a wrong one, and one that is almost right: UNAUTHENTICATED on every method."""
    node = make_node()
    node.serve()
    for token in ("", "wrong", "integration-toke"):
        stub = node.stub(token)
        for method, request in (
            ("Write", rows(["a"], np.ones((1, 8)))),
            ("Search", pb.SearchRequest()),
            ("Fetch", pb.FetchRequest()),
            ("List", pb.ListRequest(limit=1)),
            ("Stats", pb.StatsRequest()),
            ("Report", pb.ReportRequest()),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                getattr(stub, method)(request)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert node.stub().Stats(pb.StatsRequest()).namespaces == {}


def test_the_whole_api_over_the_wire(make_node):
    """Write, search, fetch, list, stats and report agree with each other."""
    stub = make_node(metric=config.Metric.COSINE).serve()
    vectors = np.random.default_rng(3).standard_normal((300, 8)).astype("<f4")
    data = [json.dumps({"n": number}).encode() for number in range(300)]
    written = stub.Write(rows([f"id{number:03}" for number in range(300)], vectors, data))
    assert (written.affected, written.position.seq, written.position.epoch) == (300, 1, 1)

    queries = [
        pb.Query(vector=vectors[7].tobytes(), top_k=3, include_values=True, include_metadata=True),
        pb.Query(vector=vectors[7].tobytes(), top_k=1, filter=b'{"n": {"$gte": 200}}'),
        pb.Query(vector=vectors[7].tobytes(), top_k=1, namespace="nowhere"),
    ]
    found = stub.Search(pb.SearchRequest(queries=queries, at_least=written.position))
    best, filtered, nothing = found.results
    assert best.rows.ids[0] == "id007"
    assert best.rows.vectors[:32] == vectors[7].tobytes()
    assert best.rows.metadata[0] == data[7]
    assert np.frombuffer(best.scores, "<f4")[0] == pytest.approx(1)
    assert int(filtered.rows.ids[0][2:]) >= 200
    assert (len(filtered.rows.vectors), len(filtered.rows.metadata)) == (0, 0)
    assert len(nothing.rows.ids) == 0

    assert (
        stub.Write(pb.WriteRequest(update=pb.Update(id="id001", merge_metadata=b'{"m":[true]}'))).affected
        == 1
    )
    fetched = stub.Fetch(pb.FetchRequest(ids=["id002", "none", "id001"], include_metadata=True)).rows
    assert list(fetched.ids) == ["id002", "id001"]
    assert json.loads(fetched.metadata[1]) == {"n": 1, "m": [True]}

    assert stub.Write(pb.WriteRequest(delete=pb.Delete(filter=b'{"n": {"$lt": 290}}'))).affected == 290
    listed = stub.List(pb.ListRequest(prefix="id29", after="id295", limit=3))
    assert list(listed.ids) == ["id296", "id297", "id298"]
    assert stub.Stats(pb.StatsRequest()).namespaces == {"": 10}
    assert stub.Stats(pb.StatsRequest(filter=b'{"n": 291}')).namespaces == {"": 1}
    report = stub.Report(pb.ReportRequest())
    assert (report.rows, report.index, report.generation, report.problem) == (10, "crash", "g1", "")
    assert report.memory_bytes > 1 << 20
    assert report.disk_bytes > 300 * 32


@pytest.mark.parametrize(
    ("method", "request_", "code", "said"),
    [
        ("Write", rows(["a"], np.ones((1, 9))), "INVALID_ARGUMENT", "8 dimensions; 1 vectors came with 9"),
        (
            "Search",
            pb.SearchRequest(queries=[pb.Query(vector=bytes(28), top_k=1)]),
            "INVALID_ARGUMENT",
            "7 dim",
        ),
        ("Search", pb.SearchRequest(queries=[pb.Query(vector=bytes(32))]), "INVALID_ARGUMENT", "top_k is 0"),
        (
            "Search",
            pb.SearchRequest(at_least=pb.Position(seq=9)),
            "FAILED_PRECONDITION",
            "seq 9 was demanded",
        ),
        ("Stats", pb.StatsRequest(filter=b"{"), "INVALID_ARGUMENT", "not JSON"),
        ("List", pb.ListRequest(), "INVALID_ARGUMENT", "limit is 0"),
        ("Write", pb.WriteRequest(epoch=7, delete=pb.Delete(all=True)), "FAILED_PRECONDITION", "epoch 1"),
    ],
)
def test_bad_requests_are_refused_with_their_reason(make_node, method, request_, code, said):
    """Status and details say what was wrong and what would be right."""
    stub = make_node().serve()
    with pytest.raises(grpc.RpcError) as refused:
        getattr(stub, method)(request_)
    assert refused.value.code().name == code
    assert said in refused.value.details()


def test_another_dimension_or_metric_is_refused_with_both(make_node):
    """Exit status 2 and one line that names what is stored and what was asked for; the data is left alone."""
    node = make_node()
    node.serve().Write(rows(["a"], np.ones((1, 8))))
    assert node.end() == 0
    for dimensions, metric, said in (
        (9, config.Metric.EUCLIDEAN, "dimensions 8 stored, 9 wanted"),
        (8, config.Metric.COSINE, "metric euclidean stored, cosine wanted"),
    ):
        node.configure(dimensions, metric)
        node.start()
        assert node.process.wait(30) == 2
        assert said in node.process.stderr.read()
        node.process.stderr.close()
    node.configure(8, config.Metric.EUCLIDEAN)
    assert node.serve().Stats(pb.StatsRequest()).namespaces == {"": 1}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VECTORFLEET_SHARD", "", "VECTORFLEET_SHARD: "),
        ("VECTORFLEET_INTERNAL_TOKEN_FILE", "/nowhere/token", "internal token can't be read"),
        (
            "VECTORFLEET_CONFIG",
            "/nowhere/index.json",
            "index configuration /nowhere/index.json can't be read",
        ),
        ("VECTORFLEET_SHARD", "3", "VECTORFLEET_SHARD is 3"),
    ],
)
def test_a_process_that_lacks_something_says_so_and_exits_2(make_node, name, value, said):
    """In one line on standard error."""
    node = make_node()
    node.environment[name] = value
    node.start()
    assert node.process.wait(30) == 2
    [line] = node.process.stderr.read().splitlines()
    node.process.stderr.close()
    assert said in line


def test_sigterm_finishes_what_is_under_way_and_exits_0(make_node):
    """SIGINT too; what was acknowledged is there afterwards."""
    node = make_node()
    for number, name in ((signal.SIGTERM, "a"), (signal.SIGINT, "b")):
        node.serve().Write(rows([name], np.ones((1, 8))))
        assert node.end(number) == 0
    assert list(node.serve().List(pb.ListRequest(limit=9)).ids) == ["a", "b"]


def test_r06_damaged_files_are_reported_and_nothing_is_served(make_node, tmp_path):
    """The process stays up and unready, says why in its report, and answers nothing else."""
    node = make_node()
    stub = node.serve()
    for number in range(5):
        stub.Write(rows([f"id{number}"], np.full((1, 8), number)))
    node.end(signal.SIGKILL)
    [path] = (tmp_path / "data" / "log").glob("*.log")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    node.start()
    deadline = time.monotonic() + 30
    while "damaged" not in node.health("ready")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stub = node.stub()
    assert "is damaged at byte" in stub.Report(pb.ReportRequest()).problem
    with pytest.raises(grpc.RpcError) as refused:
        stub.Stats(pb.StatsRequest())
    assert refused.value.code() is grpc.StatusCode.DATA_LOSS
    assert node.health("health")[0] == 200
    assert node.health("ready")[0] == 503
    assert path.read_bytes() == bytes(whole)
    assert node.end() == 0


def test_metrics_tell_of_rows_and_calls(make_node):
    """The listener shows rows by namespace and the time of calls."""
    node = make_node()
    node.serve().Write(rows(["a", "b"], np.ones((2, 8))))
    status, text = node.health("metrics")
    assert status == 200
    assert 'vector_index_size_total{namespace="__default__"} 2.0' in text
    assert 'vectorfleet_shard_rpc_seconds_count{method="Write",status="OK"} 1.0' in text
    assert "vectorfleet_shard_writable 1.0" in text


def test_bulk_rows_settle_into_a_graph_in_a_process_of_its_own(make_node):
    """Rows are found exactly before, while and after the builder works; a restart finds the same."""
    node = make_node(dimensions=16, growing_rows=500, settle_seconds=0.2, build_threads=1)
    stub = node.serve()
    vectors = np.random.default_rng(5).standard_normal((3_000, 16)).astype("<f4")
    for start in range(0, 3_000, 500):
        stub.Write(
            rows([f"id{number}" for number in range(start, start + 500)], vectors[start : start + 500])
        )
    deadline = time.monotonic() + 60
    while (report := stub.Report(pb.ReportRequest())).unindexed_rows or report.building:
        assert time.monotonic() < deadline, report
        assert own_matches(stub, vectors) == 50
        time.sleep(0.05)
    assert (report.segments, report.rows, report.problem) == (1, 3_000, "")
    assert own_matches(stub, vectors) >= 49
    node.end(signal.SIGKILL)
    assert own_matches(node.serve(), vectors) >= 49


def own_matches(stub, vectors):
    """Ask for 50 rows by their own vectors; returns how many are their own best match."""
    asked = range(0, 3_000, 60)
    queries = [pb.Query(vector=vectors[number].tobytes(), top_k=1) for number in asked]
    results = stub.Search(pb.SearchRequest(queries=queries)).results
    return sum(result.rows.ids[0] == f"id{number}" for result, number in zip(results, asked, strict=True))


def test_a_token_is_for_loopback_alone(make_node):
    """Where others reach the port it does not listen without certificates, and says so."""
    node = make_node()
    node.environment["VECTORFLEET_HOST"] = "0.0.0.0"
    node.start()
    assert node.process.wait(30) == 2
    assert "VECTORFLEET_INTERNAL_TLS_DIR" in node.process.stderr.read()
    node.process.stderr.close()
