"""An index on this machine with all that a shard can do: asked, then tuned and given another schema."""

import pytest

import vectorfleet

SPEC = {
    "metric": "cosine",
    "index": {"profile": "latency"},
    "quantization": {"type": "sq8"},
    "vectors": [{"name": "title", "dimensions": 2}],
    "schema": {"fields": [{"name": "year", "type": "integer"}]},
}


@pytest.fixture(scope="module")
def rich(local):
    """An index with vector fields and a schema, and three rows."""
    done = local.up(local.manifest(**SPEC))
    assert done.returncode == 0, done.stderr
    rows = [
        {
            "id": str(n),
            "values": [1.0, n] + [0.5] * 6,
            "vectors": {"title": [n + 1.0, 1.0]},
            "metadata": {"year": 2000 + n},
        }
        for n in range(3)
    ]
    with local.client() as client:
        client.upsert(rows)
    return local


def ids(rich, **question):
    """Return the ids that a query finds, best first."""
    with rich.client() as client:
        return [match.id for match in client.query([1.0, 2.0] + [0.5] * 6, **question).matches]


def test_all_of_it_is_asked_at_once(rich):
    """A weighted sum over a filter, and a write of a wrong type is refused."""
    asked = {"vectors": {"title": [0.0, 1.0]}, "weights": {"title": 5}, "filter": {"year": {"$gte": 2001}}}
    assert ids(rich, **asked) == ["1", "2"]
    with rich.client() as client, pytest.raises(vectorfleet.BadRequestError, match="declared integer"):
        client.update("1", set_metadata={"year": "2001"})


def test_a_new_ef_search_restarts_gateways_alone(rich):
    """It goes with each query; beside the profile that chose another."""
    before = rich.pids()
    done = rich.up(rich.manifest(**SPEC | {"index": {"profile": "latency", "efSearch": 300}}))
    assert done.returncode == 0, done.stderr

    changed = {name for name, pid in rich.pids().items() if pid != before[name]}
    assert changed == {"small-gateway-0"}
    assert ids(rich, top_k=1) == ["2"]


def test_a_new_schema_restarts_shards_and_keeps_rows(rich):
    """What is stored stays, whatever its type; what is written from now on is checked by the new one."""
    before = rich.pids()
    schema = {"fields": [{"name": "year", "type": "keyword"}]}
    done = rich.up(rich.manifest(**SPEC | {"schema": schema}))
    assert done.returncode == 0, done.stderr

    assert not set(before.values()) & set(rich.pids().values())
    assert "1" in ids(rich, filter={"year": {"$exists": True}})
    with pytest.raises(vectorfleet.BadRequestError, match="takes a string"):
        ids(rich, filter={"year": 2001})
    with rich.client() as client:
        client.update("1", set_metadata={"year": "MMI"})
        with pytest.raises(vectorfleet.BadRequestError, match="declared keyword"):
            client.update("2", set_metadata={"year": 2002})
    assert ids(rich, filter={"year": "MMI"}) == ["1"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantization": {"type": "float16"}}, "spec.quantization.type is immutable"),
        ({"vectors": []}, "spec.vectors is immutable"),
        ({"index": {"profile": "recall"}}, "spec.index.profile is immutable"),
        ({"quantization": {"type": "pq", "ratio": 12}}, "pq can't cut 8 dimensions at ratio 12"),
    ],
)
def test_what_rows_are_stored_as_stays(rich, change, said):
    """Refused with the reason, and the index serves on."""
    done = rich.up(rich.manifest(**SPEC | change))
    assert done.returncode == 2
    assert said in done.stderr
    assert rich.seen().ready
