"""Declared types of metadata: what is taken, what is refused and how, and dates from write to filter."""

import json

import msgspec
import numpy as np
import pytest
from fixtures import builders

from vectorfleet_shardnode import errors, filters, operations, settings, shape, storage, typed_metadata
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.segments import filter_file
from vectorfleet_shardnode.serving import explaining

TYPES = {kind.value: kind for kind in config.FieldType}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"other": None},
        {"keyword": "", "integer": -5, "float": 1, "boolean": False, "datetime": "2024-01-01"},
        {"keyword": ["a", "b"], "integer": [1, 2.0], "boolean": [], "datetime": ["2024-01-01T10:00Z"]},
    ],
)
def test_values_of_their_type_are_taken(metadata):
    """Alone or in a list; 2.0 is a whole number, and fields that are not declared take anything."""
    typed_metadata.check(metadata, TYPES, "a")


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"keyword": 5}, 'id "a": field "keyword" is declared keyword: it takes a string.*the number 5'),
        ({"keyword": ["a", True]}, "this is a boolean"),
        ({"integer": 1.5}, "declared integer: it takes a whole number.*the number 1.5"),
        ({"integer": "1"}, 'this is "1"'),
        ({"integer": True}, "this is a boolean"),
        ({"float": None}, "declared float: it takes a number.*this is null"),
        ({"boolean": 1}, "declared boolean: it takes true or false.*the number 1"),
        ({"datetime": "2024-02-30"}, 'declared datetime: it takes a date of ISO 8601.*this is "2024-02-30"'),
        ({"datetime": 1700000000}, "this is the number 1700000000"),
        ({"datetime": [["2024-01-01"]]}, "this is a list in a list"),
        ({"integer": {"x": 1}}, "this is an object"),
        ({"keyword": 10**400}, "this is a number"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(metadata, said):
    """The message names the row, the field, its type, what it takes, and what came."""
    with pytest.raises(errors.BadRequestError, match=said):
        typed_metadata.check(metadata, TYPES, "a")


def index_of(*fields):
    """Return the configuration of an index with these typed fields."""
    schema = config.Schema(fields=tuple(config.SchemaField(name=name, type=kind) for name, kind in fields))
    serving = config.Generation(dimensions=2, metric=config.Metric.EUCLIDEAN)
    return config.IndexConfig(index="shop", serving=serving, schema=schema)


def upsert(opened, rows):
    """Write rows {id: metadata}."""
    content = shard_pb2.Rows(
        ids=list(rows),
        vectors=np.ones((len(rows), 2), np.float32).tobytes(),
        metadata=[json.dumps(metadata).encode() for metadata in rows.values()],
    )
    request = shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=content))
    opened.shard.write(operations.parse(request, opened.shard.shape)).result()


def passing(opened, tree):
    """Return the ids of the rows that pass a filter."""
    state = opened.shard.snapshot
    return set(state.matching_ids("", filters.parse(json.dumps(tree).encode(), state.shape.declared)))


TUNING = settings.Tuning(
    growing_rows=4, index_min_rows=6, settle_seconds=0, build_threads=1, reserved_bytes=0
)


def test_dates_are_compared_in_every_kind_of_segment_and_under_a_schema_that_came_later(
    tmp_path, monkeypatch
):
    """What was stored before the field was declared answers as what came after, and nothing is rewritten."""
    monkeypatch.setattr(filter_file, "MIN_ROWS", 6)
    opened = storage.open_shard(index_of(), 0, tmp_path, TUNING, builders.Built)
    for number in range(8):
        upsert(opened, {f"old{number}": {"at": f"2024-01-0{number + 1}T01:00+02:00"}})
        opened.maintenance.step()
    upsert(opened, {"none": {"at": "yesterday"}, "number": {"at": 5}})
    assert passing(opened, {"at": "2024-01-03T01:00+02:00"}) == {"old2"}
    opened.close()

    opened = storage.open_shard(index_of(("at", "datetime")), 0, tmp_path, TUNING, builders.Built)
    upsert(opened, {"new": {"at": ["2020-01-01", "2024-01-07"]}})
    with pytest.raises(errors.BadRequestError, match='field "at" is declared datetime'):
        upsert(opened, {"bad": {"at": "yesterday"}})
    for _ in range(12):
        opened.maintenance.step()
    described = [view.segment.descriptor.files for view in opened.shard.snapshot.sealed]
    assert any("filters.bin" in files for files in described)
    assert passing(opened, {"at": {"$gte": "2024-01-05T23:00Z"}}) == {"old6", "old7", "new"} | {"old5"}
    assert passing(opened, {"at": "2024-01-02T23:00Z"}) == {"old2"}
    assert passing(opened, {"at": {"$not": {"$gt": "1970-01-01"}}}) == {"none", "number"}
    opened.close()


def test_an_update_is_checked_too():
    """Only the fields that it sets are looked at."""
    wanted = shape.Shape(config.Metric.EUCLIDEAN, 2, (), index_of(("n", "integer")).metadata)
    update = shard_pb2.Update(id="a", merge_metadata=msgspec.json.encode({"n": "x"}))
    with pytest.raises(errors.BadRequestError, match='id "a": field "n" is declared integer'):
        operations.parse(shard_pb2.WriteRequest(update=update), wanted)


def test_a_delete_by_filter_understands_declared_dates():
    """As a query does."""
    wanted = shape.Shape(config.Metric.EUCLIDEAN, 2, (), index_of(("n", "datetime")).metadata)
    delete = shard_pb2.Delete(filter=b'{"n": {"$lt": "2024-01-01"}}')
    parsed = operations.parse(shard_pb2.WriteRequest(delete=delete), wanted)
    assert parsed.wanted.dates == {"n"}


def test_an_explanation_understands_declared_dates(tmp_path):
    """It counts the rows that the query's filter passes, by the index's schema."""
    opened = storage.open_shard(index_of(("at", "datetime")), 0, tmp_path, TUNING, builders.Built)
    upsert(opened, {"a": {"at": "2024-01-01"}, "b": {"at": "2024-01-02T00:00+01:00"}, "c": {}})
    query = shard_pb2.Query(top_k=1, filter=b'{"at": {"$gte": "2024-01-01T12:00"}}')
    told = explaining.explain(opened.shard.snapshot, query, 0, explaining.Pass(1, 0.001))
    assert [segment["passing"] for segment in json.loads(told)["segments"]] == [1]
    opened.close()
