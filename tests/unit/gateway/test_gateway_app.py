"""The way that every request takes: who asks is settled before anything else."""

import asyncio
import logging

import pytest

from vectorfleet_gateway import operations, policy
from vectorfleet_gateway.routes import table

PATHS = [(route.method, route.path.replace(operations.NAME, "shop")) for route in table.ROUTES]
UNKNOWN = [
    ("GET", "/"),
    ("GET", ""),
    ("GET", "/vectors"),
    ("GET", "/namespaces/"),
    ("GET", "/namespaces/{name"),
    ("POST", "/records/namespaces//upsert"),
    ("POST", "/records/namespaces/upsert"),
    ("POST", "/records/namespaces/shop"),
    ("POST", "/vectors/upsert/"),
    ("POST", "//vectors/upsert"),
    ("GET", "/vectors/../vectors/list"),
    ("GET", "/metrics"),
    ("GET", "/health"),
    ("GET", "/internal/shards"),
    ("OPTIONS", "*"),
]
FORGED = {
    "authorization": "Bearer key-1",
    "x-api-key": "key-1",
    "x-forwarded-user": "admin",
    "x-forwarded-for": "127.0.0.1",
    "x-internal": "true",
    "x-vectorfleet-internal": "1",
    "sourceid": "internal",
}


@pytest.mark.parametrize(("method", "path"), PATHS + UNKNOWN)
@pytest.mark.parametrize("key", [None, "", "wrong", "key-1 "])
async def test_every_path_refuses_whoever_has_no_key(gateway, make_exchange, method, path, key):
    """401 whether the path exists or not; no byte of the body is read, and no header is a way around."""
    exchange = make_exchange([b"{}"] * 3)
    await gateway.ask(method, path, headers={"api-key": key} | FORGED, exchange=exchange)
    assert (exchange.status, exchange.read) == (401, 0)
    assert exchange.json["code"] == 16
    assert exchange.json["details"] == []
    assert exchange.headers["www-authenticate"] == "Api-Key"
    assert [shard.calls for shard in gateway.shards] == [[], []]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_every_route_asks_for_a_role(gateway, make_exchange, monkeypatch, method, path):
    """A key that allows nothing gets 403 on each, before the body is read."""
    nobody = policy.Principal("nobody", role=0)
    monkeypatch.setattr(gateway.ring, "authenticate", lambda *_: nobody)
    exchange = make_exchange([b"{}"])
    await gateway.ask(method, path, exchange=exchange)
    assert (exchange.status, exchange.read, exchange.json["code"]) == (403, 0, 7)


async def test_a_reader_may_not_write(gateway, monkeypatch):
    """What changes rows needs more than what reads them."""
    reader = policy.Principal("reader", policy.Role.READ)
    monkeypatch.setattr(gateway.ring, "authenticate", lambda *_: reader)
    statuses = {(method, path): (await gateway.ask(method, path)).status for method, path in PATHS}
    assert {path for (_, path), status in statuses.items() if status == 403} == {
        "/vectors/upsert",
        "/vectors/update",
        "/vectors/delete",
        "/namespaces/shop",
        "/records/namespaces/shop/upsert",
    }


@pytest.mark.parametrize(("method", "path"), UNKNOWN)
async def test_unknown_paths(gateway, method, path):
    """404 for whoever has a key; nothing is normalised into a route."""
    answer = await gateway.ask(method, path)
    assert (answer.status, answer.json["code"]) == (404, 5)


async def test_other_methods(gateway):
    """405 says which methods the path takes."""
    answer = await gateway.ask("GET", "/query")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    answer = await gateway.ask("PUT", "/namespaces/shop")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET")


async def test_a_path_that_is_not_utf_8(gateway):
    """What could not be decoded names no namespace; it must not reach one of a similar name."""
    answer = await gateway.ask("DELETE", "/namespaces/a\N{REPLACEMENT CHARACTER}")
    assert answer.status == 400
    assert [shard.calls for shard in gateway.shards] == [[], []]


async def test_a_body_that_announces_too_much_is_not_read(make_gateway, make_exchange):
    """413 from the header alone."""
    gateway = make_gateway(bounds={"max_body_bytes": 1000})
    exchange = make_exchange([b"x" * 600] * 10)
    await gateway.ask("POST", "/query", headers={"content-length": "1001"}, exchange=exchange)
    assert (exchange.status, exchange.read, exchange.headers["connection"]) == (413, 0, "close")
    assert "1000 bytes" in exchange.json["message"]


async def test_a_question_may_not_be_as_long_as_a_batch(gateway, make_exchange):
    """What reads takes what a query can need; what writes takes more."""
    for path, status in {"/query": 413, "/describe_index_stats": 413, "/vectors/upsert": 400}.items():
        exchange = make_exchange([b" " * 3_000_000])
        await gateway.ask("POST", path, headers={"content-length": "3000000"}, exchange=exchange)
        assert exchange.status == status
        assert exchange.read == (0 if status == 413 else 3_000_000)


async def test_a_body_without_a_length_is_read_to_the_limit(make_gateway, make_exchange):
    """413 as soon as it is too long; the rest is left where it is."""
    gateway = make_gateway(bounds={"max_body_bytes": 1000})
    exchange = make_exchange([b"x" * 600] * 10)
    await gateway.ask("POST", "/query", headers={"content-length": None}, exchange=exchange)
    assert (exchange.status, exchange.read) == (413, 1200)


async def test_a_body_of_exactly_the_limit_is_taken(make_gateway):
    """The limit is inclusive, with a length and without."""
    body = b'{"vector":[1.0,2.0],"topK":1}'
    gateway = make_gateway(bounds={"max_body_bytes": len(body)})
    assert (await gateway.ask("POST", "/query", body)).status == 200
    assert (await gateway.ask("POST", "/query", body, headers={"content-length": None})).status == 200


@pytest.mark.parametrize("length", [None, "100"])
async def test_a_body_that_does_not_come(make_gateway, make_exchange, length):
    """408 when its time is up, and the connection is closed."""
    gateway = make_gateway(bounds={"timeout": 0.01})
    exchange = make_exchange([b"{"], hang=True)
    await gateway.ask("POST", "/query", headers={"content-length": length}, exchange=exchange)
    assert (exchange.status, exchange.headers["connection"]) == (408, "close")


async def test_a_body_that_broke_off(gateway, make_exchange):
    """What is shorter than announced is not taken for whole, even where it is valid JSON."""
    exchange = make_exchange([b'{"vectors":[{"id":"a","values":[1.0,2.0]}]}'])
    await gateway.ask("POST", "/vectors/upsert", headers={"content-length": "100"}, exchange=exchange)
    assert exchange.status == 400
    assert gateway.written == 0


async def test_compressed_bodies_are_refused_unread(gateway, make_exchange):
    """A few bytes could become many."""
    exchange = make_exchange([b"\x1f\x8b"])
    await gateway.ask("POST", "/query", headers={"content-encoding": "gzip"}, exchange=exchange)
    assert (exchange.status, exchange.read) == (415, 0)


async def test_an_answer_that_takes_too_long(make_gateway):
    """504 when the request's time is up."""
    gateway = make_gateway(bounds={"timeout": 0.01})
    gateway.shards[0].gate = asyncio.Event()
    answer = await gateway.ask("POST", "/query", {"vector": [1.0, 2.0], "topK": 1})
    assert (answer.status, answer.json["code"]) == (504, 4)


@pytest.mark.parametrize("given", ["abc-1", "A" * 128])
async def test_a_callers_request_id_is_echoed(gateway, given):
    """So that both sides' logs can be put together."""
    assert (await gateway.ask("GET", "/namespaces", headers={"x-request-id": given})).headers[
        "x-request-id"
    ] == given


@pytest.mark.parametrize("given", [None, "", "A" * 129, "a b", "a\nb", "é"])
async def test_other_request_ids_are_replaced(gateway, given):
    """What could not safely be in a header or a log line is not echoed."""
    made = (await gateway.ask("GET", "/namespaces", headers={"x-request-id": given})).headers["x-request-id"]
    assert made != given
    assert len(made) == 32


async def test_a_fault_of_ours_says_nothing_of_itself(gateway, caplog):
    """500 with the request's id; what happened is in the log under the same id."""
    gateway.shards[0].failure = gateway.shards[1].failure = ZeroDivisionError("secret")
    answer = await gateway.ask("GET", "/namespaces", headers={"x-request-id": "r-1"})
    assert (answer.status, answer.json["code"]) == (500, 13)
    assert "r-1" in answer.json["message"]
    assert b"secret" not in answer.body
    assert [record.request_id for record in caplog.records if record.exc_info] == ["r-1"]


async def test_nothing_of_a_request_is_logged(gateway, caplog, refused):
    """Neither vectors, metadata, nor keys, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    row = {"id": "a", "values": [2.0**-30, 2.0], "metadata": {"private": "word"}}
    for failure in (None, ZeroDivisionError()):
        for shard in gateway.shards:
            shard.failure = failure
        await gateway.ask("POST", "/vectors/upsert", {"vectors": [row]})
        await gateway.ask("POST", "/vectors/upsert", {"vectors": [row]}, headers={"api-key": "almost-key"})
    said = " ".join(str(vars(record)) for record in caplog.records)
    for secret in ("9.313225746", "private", "word", "key-1", "almost-key"):
        assert secret not in said


async def test_what_is_cut_off_is_told_so(gateway, make_exchange):
    """Where the time to stop is up, a request that still waits gets 503 and nothing hangs."""
    asked = asyncio.create_task(
        gateway.ask("POST", "/query", headers={"content-length": "9"}, exchange=make_exchange(hang=True))
    )
    await asyncio.sleep(0)
    gateway.app.cut_off()
    answer = await asked
    assert (answer.status, answer.json["message"]) == (503, "the gateway is stopping")
