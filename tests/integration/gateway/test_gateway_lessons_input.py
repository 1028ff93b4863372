"""What brought others down, tried on ours: one test for each lesson about what callers send.

docs/security.md lists the lessons with the advisories that they come from, and the tests by name.
"""

import gzip

import pytest
from attacking.target import ROW

BOMB = gzip.compress(b'{"vectors":[' + b" " * 50_000_000 + b"]}")


@pytest.mark.parametrize(
    "encoding", ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "gzip, gzip", "unknown"]
)
def test_a_compressed_body_is_not_unpacked(target, encoding):
    """A kilobyte that becomes a gigabyte: 415, and memory stays as it is."""
    before = target.memory()
    for _ in range(3):
        status, told = target.ask("POST", "/vectors/upsert", BOMB, headers={"Content-Encoding": encoding})
        assert status == 415, told
    assert target.memory() - before < 20
    assert target.rows() == 1


def test_deep_json_is_refused(target):
    """Ninety thousand brackets cost neither a stack nor a process."""
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('{"$and":[', "]}"), ('{"$not":', "}")):
        deep = opening * 90_000 + "1" + closing * 90_000  # less than a question may be long
        for body in (
            deep,
            f'{{"vectors":{deep}}}',
            f'{{"vectors":[{{"id":"b","values":[1,2,3,4],"metadata":{{"x":{deep}}}}}]}}',
        ):
            target.refused("/vectors/upsert", body.encode())
        target.refused("/query", f'{{"topK":1,"vector":[1,0,0,0],"filter":{deep}}}'.encode())
    just = {"x": 1}
    for _ in range(40):
        just = {"$and": [just]}
    target.refused("/query", {"topK": 1, "vector": [1, 0, 0, 0], "filter": just}, "deeper")


def test_endless_filters_are_refused(target):
    """CVE-2023-38976: one request kept a server busy. A filter is bounded in bytes, conditions and values."""
    for condition in (
        {"x": {"$in": list(range(10_001))}},
        {"$or": [{"x": number} for number in range(1_003)]},
        {"x": "a" * 70_000},
        {"x" * 70_000: 1},
    ):
        target.refused("/query", {"topK": 1, "vector": [1, 0, 0, 0], "filter": condition})
        target.refused("/vectors/delete", {"filter": condition})


NUMBERS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "1e39",
    "-1e39",
    "1e400",
    "1" + "0" * 400,
    "0x10",
    "01",
    "1_000",
    '"1"',
    "true",
    "[1]",
    "{}",
)


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_no_float32_is_refused(target, number):
    """CVE-2026-3172 and its kin: the native code never sees NaN, infinities or what is no number."""
    for path, body in (
        ("/vectors/upsert", f'{{"vectors":[{{"id":"b","values":[{number},0,0,1]}}]}}'),
        ("/vectors/update", f'{{"id":"a","values":[{number},0,0,1]}}'),
        ("/query", f'{{"topK":1,"vector":[{number},0,0,1]}}'),
    ):
        target.refused(path, body.encode())


@pytest.mark.parametrize("values", [[], [1], [1, 2, 3], [1, 2, 3, 4, 5], [0, 0, 0, 0], [1] * 20_000])
def test_vectors_that_do_not_fit_are_refused(target, values):
    """Another dimension, or no direction: not one byte goes past the gateway."""
    target.refused("/vectors/upsert", {"vectors": [{"id": "b", "values": values}]})
    target.refused("/vectors/update", {"id": "a", "values": values})
    target.refused("/query", {"topK": 1, "vector": values})


@pytest.mark.parametrize(
    "number", [-1, 0, 10_001, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**30, 1.5, "5", None]
)
def test_how_many_is_bounded(target, number):
    """topK, efSearch, probes, oversampling and limits of 0, 2^31 or more are refused, and never truncated."""
    question = {"topK": 5, "vector": [1, 0, 0, 0]}
    target.refused("/query", question | {"topK": number})
    if number is not None:
        target.refused("/query", question | {"params": {"efSearch": number}})
        target.refused("/query", question | {"params": {"oversampling": number}})
        target.refused("/query", question | {"fusion": {"k": number}})
    if number in {0, 5} or not isinstance(number, int):
        return
    for path in ("/vectors/list", "/namespaces"):
        assert target.ask("GET", f"{path}?limit={number}")[0] == 400


def test_more_than_there_is_may_be_asked_for(target):
    """The greatest numbers that are taken, on an index of one row: that row."""
    question = {"topK": 10_000, "vector": [1, 0, 0, 0], "params": {"efSearch": 10_000, "oversampling": 100}}
    status, told = target.ask("POST", "/query", question)
    assert (status, [one["id"] for one in told["matches"]]) == (200, ["a"])


def test_ids_that_look_like_numbers_are_text(target):
    """2^31, 2^63 and -1 are names like any other: no integer in between wraps them."""
    ids = [str(number) for number in (0, -1, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**40)]
    rows = [{"id": name, "values": [1, 2, 3, position + 1]} for position, name in enumerate(ids)]
    assert target.ask("POST", "/vectors/upsert", {"vectors": rows})[0] == 200
    found = target.ask("GET", "/vectors/fetch?" + "&".join(f"ids={name}" for name in ids))[1]["vectors"]
    assert {name: row["values"] for name, row in found.items()} == {row["id"]: row["values"] for row in rows}
    for number in (2**31, 2**63):
        target.ask("POST", "/vectors/delete", {"ids": [str(number)]})
    assert target.rows() == 1 + len(ids) - 2
    assert target.ask("POST", "/vectors/upsert", {"vectors": [ROW | {"id": 2**31}]})[0] == 400


def test_metadata_numbers_keep_their_value(target):
    """Within 64 bits they come back exactly; beyond, they are refused and never rounded or wrapped."""
    for number in (2**31, 2**53 + 1, 2**63 - 1, -(2**63) + 1):
        row = ROW | {"id": "n", "metadata": {"x": number}}
        assert target.ask("POST", "/vectors/upsert", {"vectors": [row]})[0] == 200
        body = {"vector": [1, 2, 3, 4], "topK": 5, "filter": {"x": number}, "includeMetadata": True}
        found = target.ask("POST", "/query", body)[1]["matches"]
        assert [one["metadata"]["x"] for one in found] == [number]
    target.ask("POST", "/vectors/delete", {"ids": ["n"]})
    target.refused("/vectors/upsert", {"vectors": [ROW | {"metadata": {"x": 2**64}}]})
