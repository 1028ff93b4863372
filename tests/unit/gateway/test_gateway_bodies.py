"""Bodies that are no requests: 400 in words, never 500, and nothing written."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

UPSERT = b'{"vectors":[{"id":"a","values":[1.0,2.0]%s}]}'
DEEP = b"[" * 100_000 + b"]" * 100_000
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)
FIELDS = st.sampled_from(
    [
        "vectors",
        "id",
        "ids",
        "values",
        "metadata",
        "namespace",
        "filter",
        "topK",
        "vector",
        "deleteAll",
        "params",
    ]
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty"),
        (b"{", "not valid JSON"),
        (b"[]", "Expected `object`, got `array`"),
        (b"null", "got `null`"),
        (b"{}", "missing required field `vectors`"),
        (b'{"vectors":[]}', "vectors is empty"),
        (b'{"vectors":[1]}', "$.vectors[0]"),
        (UPSERT % b"" + b"x", "trailing characters"),
        (b"\xef\xbb\xbf" + UPSERT % b"", "not valid JSON"),
        ((UPSERT % b"").decode().encode("utf-16"), "not valid JSON"),
        (b'{"vectors":[{"id":"\xff","values":[1.0,2.0]}]}', "not UTF-8"),
        (b'{"vectors":[{"id":"\\ud800","values":[1.0,2.0]}]}', "not valid JSON"),
        (b'{"vectors":[{"id":1,"values":[1.0,2.0]}]}', "Expected `str`, got `int`"),
        (b'{"vectors":[{"id":"a\\u0000","values":[1.0,2.0]}]}', "NUL"),
        (b'{"vectors":[{"id":"a","values":[NaN,2.0]}]}', "NaN and Infinity are not JSON"),
        (b'{"vectors":[{"id":"a","values":[-Infinity,2.0]}]}', "NaN and Infinity are not JSON"),
        (b'{"vectors":[{"id":"a","values":[1e400,2.0]}]}', "Number out of range"),
        (b'{"vectors":[{"id":"a","values":[1' + b"0" * 400 + b",2.0]}]}", "Number out of range"),
        (b'{"vectors":[{"id":"a","values":[1e39,2.0]}]}', "float32"),
        (b'{"vectors":[{"id":"a","values":[true,2.0]}]}', "got `bool`"),
        (b'{"vectors":[{"id":"a","values":null}]}', "id 'a' has 0 dimensions; the index has 2"),
        (b'{"vectors":[{"id":"a","values":[1.0,2.0,3.0]}]}', "id 'a' has 3 dimensions; the index has 2"),
        (b'{"vectors":[{"id":"a","values":[0,0.0]}]}', "all zero"),
        (UPSERT % b',"metadata":{"x":null}', "'x' is null"),
        (UPSERT % b',"metadata":{"x":{"y":1}}', "'x' is an object"),
        (UPSERT % b',"metadata":{"x":1e400}', "Number out of range"),
        (UPSERT % (b',"metadata":{"x":1' + b"0" * 5000 + b"}"), "out of range"),
        (UPSERT % b',"metadata":{"x":12345678901234567890}', "more than 64 bits"),
        (UPSERT % (b',"metadata":{"x":' + DEEP + b"}"), "nested too deeply"),
        (UPSERT % (b',"other":' + DEEP), "unknown field `other`"),
        (UPSERT % b',"metadata":{"x":1,"x":2}', "'x' twice"),
        (UPSERT % b',"id":"b"', "'id' twice"),
        (
            UPSERT % b',"sparseValues":{"indices":[1],"values":[1.0]}',
            "id 'a': sparseValues: sparse values need the metric dotproduct",
        ),
    ],
)
async def test_bodies_that_are_refused(gateway, body, said):
    """The message says what was wrong, and where."""
    answer = await gateway.ask("POST", "/vectors/upsert", body)
    assert (answer.status, answer.json["code"]) == (400, 3), answer.body
    assert said in answer.json["message"]
    assert gateway.written == 0


async def test_fields_that_are_not_ours_are_refused(gateway):
    """A field that would do nothing is never ignored."""
    for path, body in {
        "/query": {"vector": [1.0, 2.0], "topK": 1, "reranker": {}},
        "/vectors/delete": {"ids": ["a"], "when": "now"},
        "/vectors/update": {"id": "a", "values": [1.0, 2.0], "filter": {}},
        "/describe_index_stats": {"verbose": True},
    }.items():
        answer = await gateway.ask("POST", path, body)
        assert answer.status == 400
        assert "unknown field" in answer.json["message"]


@pytest.mark.parametrize("path", ["/vectors/upsert", "/vectors/update", "/vectors/delete", "/query"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(body=st.one_of(st.dictionaries(FIELDS, JSON), JSON))
async def test_no_json_is_a_fault(gateway, path, body):
    """Whatever JSON it is, the answer is a success or a refusal."""
    answer = await gateway.ask("POST", path, body)
    assert answer.status in {200, 400}, answer.body


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(body=st.binary())
async def test_no_bytes_are_a_fault(gateway, body):
    """Nor any other bytes."""
    assert (await gateway.ask("POST", "/query", body)).status == 400
