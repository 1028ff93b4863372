"""Who got in elsewhere, tried on ours: one test for each lesson about callers, routes and names.

docs/security.md lists the lessons with the advisories that they come from, and the tests by name.
"""

import contextlib
import socket
import time

import grpc
import pytest
from attacking.target import KEY, METADATA, READER, ROW, TENANT, TOKEN

from vectorfleet_gateway import operations
from vectorfleet_gateway.routes import table
from vectorfleet_shardnode.api import shard_pb2, shard_pb2_grpc

WRITES = {
    "/vectors/upsert": {"vectors": [ROW]},
    "/vectors/update": {"id": "a", "values": [1, 2, 3, 4]},
    "/vectors/delete": {"deleteAll": True},
}
FORGED = {
    "sourceid": "root",
    "x-internal": "true",
    "x-internal-request": "1",
    "x-forwarded-user": "admin",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-host": "localhost",
    "forwarded": "for=127.0.0.1",
    "x-real-ip": "127.0.0.1",
    "x-remote-user": "admin",
    "remote-user": "admin",
    "x-user": "admin",
    "x-auth-request-user": "admin",
    "x-client-cert": "gateway",
    "ssl-client-verify": "SUCCESS",
    "x-forwarded-client-cert": "URI=gateway",
    "x-role": "admin",
    "x-vectorfleet-role": "admin",
    "x-original-url": "/health",
    "x-rewrite-url": "/health",
    "x-http-method-override": "GET",
    "authorization": f"Bearer {TOKEN}",
    "cookie": f"api-key={KEY}",
    "via": "1.1 gateway",
}


@pytest.mark.parametrize("name", FORGED)
def test_no_header_makes_a_caller_one_of_ours(target, name):
    """CVE-2025-64513: a header that marked internal callers let everybody in. Here none does."""
    forged = {name: FORGED[name]}
    assert target.ask("GET", "/vectors/list", key=None, headers=forged)[0] == 401
    for path, body in WRITES.items():
        assert target.ask("POST", path, body, key=READER, headers=forged)[0] == 403
    assert target.rows() == 1


def test_a_key_is_taken_from_its_header_alone(target):
    """A key in a URL ends in logs and histories: it opens nothing there."""
    for query in (f"api-key={KEY}", f"api_key={KEY}", f"Api-Key={KEY}", f"key={KEY}"):
        assert target.ask("GET", f"/vectors/list?{query}", key=None)[0] == 401


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
ELSEWHERE = (
    "/",
    "/expr",
    "/expr?code=1&auth=by-dev",
    "/debug/pprof/",
    "/debug",
    "/logger",
    "/log/level",
    "/config",
    "/admin",
    "/management/stop",
    "/api/v1/health",
    "/api/v1/collections",
    "/eventlog",
    "/openapi.json",
    "/metrics/",
    "/metrics/../vectors/list",
    "/metrics%2f..%2fvectors/list",
    "/health/x",
)


def test_the_metrics_listener_has_its_three_routes_alone(target):
    """CVE-2026-26190: the port of the metrics served the whole API, and evaluated code. Ours: three GETs."""
    metrics = int(target.fleet.gateway.metrics)
    for port in (metrics, int(target.fleet.shards[0].metrics)):
        for path in ("/health", "/ready", "/metrics"):
            assert target.ask("GET", path, port=port, key=None)[0] == 200
        names = [route.path.replace(operations.NAME, "x") for route in table.ROUTES]
        for path in (*names, *ELSEWHERE):
            for method in METHODS:
                status, _ = target.ask(method, path, port=port)
                assert status in {404, 501}, (method, path, status)
        for method in METHODS[1:]:
            assert target.ask(method, "/metrics", port=port)[0] == 501


PATHS = (
    "/..",
    "/../",
    "/../../etc/passwd",
    "/vectors/../metrics",
    "/vectors/%2e%2e/metrics",
    "/%2e%2e%2f%2e%2e",
    "/vectors/..%2flist",
    "/vectors%5clist",
    "/vectors\\list",
    "//vectors/list",
    "/vectors//list",
    "/vectors/list/",
    "/./vectors/list",
    "/vectors/list;x=1",
    "/vectors/list%00",
    "/vectors/list%20",
    "/VECTORS/LIST",
    "/vectors/li%73t%2f",
    "/%e2%80%a4%e2%80%a4/metrics",
    "/dashboard%2f..%2fvectors/list",
    "/x/../vectors/list",
    "/" + "a" * 300,
    "/" + "a" * 30_000,
)


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_a_path_is_a_route_or_nothing(target, path):
    """Qdrant #9254: `%2f..%2f` behind a public prefix passed as public. Here nothing is public.

    With a key, a path that is not exactly a route is nothing.
    """
    assert target.ask("GET", path, key=None)[0] == 401
    assert target.ask("GET", path)[0] == 404


def test_an_encoded_slash_asks_for_what_it_resolves_to(target):
    """However a route is written, it is authorised as that route."""
    for path in ("/vectors%2Fupsert", "/%76ectors/upsert"):
        assert target.ask("POST", path, WRITES["/vectors/upsert"], key=None)[0] == 401
        assert target.ask("POST", path, WRITES["/vectors/upsert"], key=READER)[0] == 403
    assert target.ask("DELETE", "/namespaces%2Fx", key=READER)[0] == 403


NAMES = (
    "../../outside",
    "..",
    ".",
    "/etc/passwd",
    "..\\..\\outside",
    "%2e%2e%2foutside",
    "a/b/c",
    "~/.ssh",
    "$(id)",
    "`id`",
    "\u2024\u2024/x",
    "\uff0e\uff0e\uff0fx",
    "CON",
    "a\nb",
    "\u202egpj.exe",
    "' OR 1=1 --",
    "{{7*7}}",
    "__class__",
    "-rf",
    "a" * 512,
)


def test_names_are_never_paths(target):
    """CVE-2024-2221, CVE-2024-3584, CVE-2025-67818, Qdrant #10085: names of data became names of files.

    Here such ids and namespaces are data: they come back as they were, and no file is called after them.
    """
    before = {path.name for path in target.fleet.folder.rglob("*")}
    for name in NAMES:
        row = ROW | {"id": name, "metadata": {"name": name, "told": METADATA}}
        status, told = target.ask("POST", "/vectors/upsert", {"vectors": [row], "namespace": name})
        assert status == 200, told
        found = target.ask(
            "POST", "/query", {"id": name, "topK": 5, "namespace": name, "includeMetadata": True}
        )[1]
        assert [(one["id"], one["metadata"]) for one in found["matches"]] == [(name, row["metadata"])]
    names = {one["name"] for one in target.ask("GET", "/namespaces")[1]["namespaces"]}
    assert names == {*NAMES, "__default__"}
    new = {path.name for path in target.fleet.folder.rglob("*")} - before
    assert all(name.replace(".", "").replace("-", "").isalnum() and len(name) < 64 for name in new), new


@pytest.mark.parametrize("name", ["a\0b", "\0", "a" * 513])
def test_names_that_are_none_are_refused(target, name):
    """NUL, and what is too long, whether it is an id or a namespace."""
    target.refused("/vectors/upsert", {"vectors": [ROW | {"id": name}]})
    target.refused("/vectors/upsert", {"vectors": [ROW], "namespace": name})
    target.refused("/query", {"id": name, "topK": 1})
    target.refused("/query", {"vector": [1, 0, 0, 0], "topK": 1, "namespace": name})


def test_an_upload_without_a_key_is_refused_before_its_body(target):
    """GHSA-3v92-w72v-j994: uploads were stored before anybody looked who sends them.

    Here the answer comes while the body does not, and nothing is written anywhere.
    """
    head = (
        "POST /vectors/upsert HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        "Content-Length: 30000000\r\n\r\n"
        "--b\r\nContent-Disposition: form-data; name=snapshot; filename=s.tar\r\n\r\n"
    )
    before = target.memory()
    with socket.create_connection(("127.0.0.1", target.fleet.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
        with contextlib.suppress(OSError):  # it is closed on whoever goes on
            for _ in range(50):
                connection.sendall(b"x" * 100_000)
                time.sleep(0.01)
                assert list(target.temporary.iterdir()) == []
    assert list(target.temporary.iterdir()) == []
    assert target.memory() - before < 20


@pytest.mark.parametrize("key", [None, "wrong", READER])
def test_models_and_archives_are_not_to_be_had(target, key):
    """CVE-2026-45829, CVE-2024-3829: whoever came made the server load a model or unpack an archive.

    Here a request names neither; nothing is read of it before its key, and an unknown field is refused.
    """
    for extra in ("embedding_function", "model", "trust_remote_code", "snapshot", "location", "url", "path"):
        body = {"vectors": [ROW], extra: "https://example.org/model"}
        expected = {None: 401, "wrong": 401, READER: 403}[key]
        assert target.ask("POST", "/vectors/upsert", body, key=key)[0] == expected
        target.refused("/vectors/upsert", body, extra)
    for path in (
        "/collections/x/snapshots/upload",
        "/snapshots",
        "/backups",
        "/models",
        "/logger",
        "/configure",
    ):
        for method in ("POST", "PUT", "PATCH"):
            assert target.ask(method, path, b"\x1f\x8b", key=KEY)[0] == 404


def test_a_reader_changes_nothing(target):
    """CVE-2026-25628, GHSA-3gph-6c29-p29v: a key that may read wrote files, and added peers."""
    for path, body in WRITES.items():
        assert target.ask("POST", path, body, key=READER)[0] == 403
    assert target.ask("DELETE", "/namespaces/__default__", key=READER)[0] == 403
    assert target.ask("POST", "/query", {"vector": [1, 0, 0, 0], "topK": 1}, key=READER)[0] == 200
    assert target.rows() == 1


@pytest.mark.parametrize("name", ["authorization", "api-key", "x-api-key", "sourceid", "x-internal"])
@pytest.mark.parametrize(
    "value", [KEY, f"Bearer {KEY}", f"Bearer {READER}", "", "Bearer ", f"bearer {TOKEN} "]
)
def test_no_api_key_opens_the_internal_listener(target, name, value):
    """GHSA-3gph-6c29-p29v: the internal API took the keys of the public one."""
    with grpc.insecure_channel(f"127.0.0.1:{target.fleet.ports[0]}") as channel:
        stub = shard_pb2_grpc.ShardStub(channel)
        for method, request in (
            (stub.Report, shard_pb2.ReportRequest()),
            (stub.Write, shard_pb2.WriteRequest(delete=shard_pb2.Delete(all=True))),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                method(request, metadata=[(name, value)], timeout=5)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert target.rows() == 1


def test_the_internal_token_opens_nothing_outside(target):
    """It is no API key, wherever it is put."""
    for headers in ({"Api-Key": TOKEN}, {"Api-Key": f"Bearer {TOKEN}"}, {"authorization": f"Bearer {TOKEN}"}):
        assert target.ask("GET", "/vectors/list", key=None, headers=headers)[0] == 401


def test_a_tenant_learns_nothing_of_others(target):
    """What a key does not allow is neither counted, ranked nor told from what does not exist."""
    rows = [{"id": f"r{number}", "values": [1, 0, 0, number]} for number in range(20)]
    for namespace in ("tenant", "other"):
        assert target.ask("POST", "/vectors/upsert", {"vectors": rows, "namespace": namespace})[0] == 200
    stats = target.ask("POST", "/describe_index_stats", {}, key=TENANT)[1]
    assert (stats["totalVectorCount"], list(stats["namespaces"])) == (20, ["tenant"])
    query = {"vector": [1, 0, 0, 0], "topK": 100}
    found = target.ask("POST", "/query", query | {"namespace": "tenant"}, key=TENANT)[1]["matches"]
    assert len(found) == 20
    refusals = [
        target.ask("POST", "/query", query | {"namespace": name}, key=TENANT)
        for name in ("other", "nobody", "")
    ]
    assert {status for status, _ in refusals} == {403}
    texts = {
        told["message"].replace(repr(name), "?")
        for (_, told), name in zip(refusals, ("other", "nobody", "__default__"), strict=True)
    }
    assert len(texts) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 500_000,
        b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: 1\r\n" % number for number in range(5_000)),
        b"GET / HTTP/1.1\r\nx: " + b"a" * 1_000_000,
    ],
    ids=["target", "fields", "field"],
)
def test_a_head_is_bounded(target, head):
    """Nobody without a key makes the gateway remember a megabyte."""
    with socket.create_connection(("127.0.0.1", target.fleet.port), timeout=10) as connection:
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(head)
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(100)
    assert answer == b"" or answer.split()[1] in {b"414", b"431", b"400"}


def test_secrets_stay_out_of_logs(target):
    """After all of the above: no key, no token, no values, no metadata."""
    for process in (target.fleet.gateway, *target.fleet.shards):
        for secret in (KEY, READER, TENANT, TOKEN, METADATA):
            assert secret not in process.log
