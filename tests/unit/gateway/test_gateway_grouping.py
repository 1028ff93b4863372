"""Matches in groups: the best groups and rows of each, as if every row were ranked."""

import json
import random

import grpc
import numpy as np
import pytest

from vectorfleet_gateway import fusion, grouping, limits, routing
from vectorfleet_shardnode import errors, filters
from vectorfleet_shardnode.api import config, shard_pb2

FIELD = {"field": "kind"}


async def ask(gateway, **body):
    """Return the whole answer of a query in groups."""
    answer = await gateway.ask("POST", "/query", {"vector": [1.0, 0.0], "groupBy": FIELD} | body)
    assert answer.status == 200, answer.body
    return answer.json


def told(answer):
    """Return (value, ids) of each group."""
    return [(group["value"], [match["id"] for match in group["matches"]]) for group in answer["groups"]]


def expected(rows, groups, each):
    """Rank every row, and group."""
    ranked = sorted(rows, key=lambda row: (-row[1][0], row[0]))
    found = {}
    for row_id, _, metadata in ranked:
        value = metadata.get("kind")
        if isinstance(value, str | int | float):
            found.setdefault((type(value) is bool, value), []).append(row_id)
    return [(value, ids[:each]) for (_, value), ids in list(found.items())[:groups]]


def row(number, kind, score):
    """Return a row whose dot product with the query is `score`."""
    return (f"r{number:04}", [float(score), 0.0], {} if kind is None else {"kind": kind})


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("groups", "each"), [(1, 1), (5, 1), (5, 3), (200, 2), (30, 100)])
async def test_groups_are_those_of_every_row_ranked(make_gateway, seed, groups, each):
    """However rows are spread: one group in front of all others, rows in no group, several types."""
    chance = random.Random(seed)
    gateway = make_gateway(shards=2, metric="dotproduct")
    kinds = [f"k{number}" for number in range(40)] + [1, 2.5, True, False, None, ["k1", "k2"]]
    rows = [row(number, "front", 1000 - number / 10) for number in range(chance.choice([0, 150, 700]))]
    rows += [row(1000 + n, chance.choice(kinds), chance.randrange(500)) for n in range(600)]
    for start in range(0, len(rows), 1000):
        await gateway.upsert(rows[start : start + 1000])
    answer = await ask(gateway, topK=groups, groupBy=FIELD | {"rows": each})
    assert told(answer) == expected(rows, groups, each)
    assert answer["complete"] is True
    assert answer["matches"] == []


async def test_what_a_group_holds(make_gateway):
    """Values and metadata where they are asked for alone; scores; the filter holds for groups too."""
    gateway = make_gateway(metric="dotproduct")
    await gateway.upsert([row(1, "a", 3), row(2, "a", 2), row(3, "b", 1), row(4, "c", 9)])
    plain = await ask(gateway, topK=2)
    assert plain["groups"][0] == {"value": "c", "matches": [{"id": "r0004", "values": [], "score": 9.0}]}
    full = await ask(gateway, topK=2, includeMetadata=True, includeValues=True, filter={"kind": "a"})
    assert told(full) == [("a", ["r0001"])]
    assert full["groups"][0]["matches"][0] == {
        "id": "r0001",
        "values": [3.0, 0.0],
        "metadata": {"kind": "a"},
        "score": 3.0,
    }


async def test_under_a_distance_the_nearest_group_is_first(make_gateway):
    """Where a smaller score is better."""
    gateway = make_gateway(metric="euclidean")
    await gateway.upsert([row(1, "far", 9), row(2, "near", 1.5), row(3, "near", 1), row(4, "mid", 3)])
    answer = await ask(gateway, topK=3, groupBy=FIELD | {"rows": 2})
    assert told(answer) == [("near", ["r0003", "r0002"]), ("mid", ["r0004"]), ("far", ["r0001"])]


async def test_dates_are_grouped_as_points_in_time(make_gateway):
    """Two ways to write one instant are one group, named as its best row has it."""
    schema = {"fields": [{"name": "day", "type": "datetime"}]}
    gateway = make_gateway(metric="dotproduct", schema=schema, shards=1)
    rows = [("a", [3.0, 0.0], {"day": "2026-01-01T01:00:00+01:00"}), ("b", [2.0, 0.0], {"day": "2026-01-01"})]
    await gateway.upsert([*rows, ("c", [1.0, 0.0], {"day": "2026-01-02"})])
    answer = await ask(gateway, topK=2, groupBy={"field": "day", "rows": 2})
    assert told(answer) == [("2026-01-01T01:00:00+01:00", ["a", "b"]), ("2026-01-02", ["c"])]


def test_what_is_stored_of_another_type_than_declared_is_in_no_group():
    """It was stored before the field was declared; no filter may ask for it, and none does."""
    groups = grouping.Groups(grouping.GroupBy("kind", 3, 1, config.FieldType.INTEGER))
    kinds = ["old", 5, True, 5.0, None, 6]
    rows = [routing.Row(str(at), None, json.dumps({"kind": kind}).encode()) for at, kind in enumerate(kinds)]
    matches = [fusion.Fused(routing.Hit(one, np.float32(9 - at))) for at, one in enumerate(rows)]
    assert groups.add(matches, last=False) == 2
    asked = grouping.next_query(shard_pb2.Query(), groups, 10)
    assert json.loads(asked.filter) == {"kind": {"$exists": True, "$nin": [5, 6]}}
    assert filters.parse(asked.filter, frozenset([("kind", config.FieldType.INTEGER)]))


async def test_a_fused_list_is_grouped_as_far_as_it_goes(make_gateway):
    """Complete where its lists hold every match, and not where they may lack some."""
    gateway = make_gateway(metric="dotproduct", schema={"text": ["t"]})
    rows = [(f"r{n:03}", [100.0 - n, 0.0], {"kind": f"k{n % 5}", "t": "word " * (n + 1)}) for n in range(60)]
    await gateway.upsert(rows)
    whole = await ask(gateway, topK=5, text="word", groupBy=FIELD | {"rows": 2})
    assert (len(whole["groups"]), whole["complete"]) == (5, True)
    assert all(len(group["matches"]) == 2 for group in whole["groups"])
    part = await ask(gateway, topK=6, text="word", fusion={"candidates": 6})
    assert part["complete"] is False


async def test_rows_in_no_group_do_not_hide_groups(make_gateway):
    """A thousand rows without a single value in front: it looks further, and says so where it is too far."""
    gateway = make_gateway(metric="dotproduct", shards=1)
    await gateway.upsert([row(number, ["x"], 5000 - number) for number in range(1000)])
    await gateway.upsert([row(2000, "hidden", 1)])
    assert told(await ask(gateway, topK=1)) == [("hidden", ["r2000"])]


async def test_what_was_done_is_told(make_gateway):
    """Rounds, rows looked at, groups asked for alone."""
    gateway = make_gateway(metric="dotproduct", shards=1)
    await gateway.upsert([row(number, "front", 1000 - number) for number in range(150)])
    await gateway.upsert([row(500, "b", 1), row(501, "c", 0.5)])
    answer = await ask(gateway, topK=2, explain=True)
    assert answer["explain"]["groups"] == {"rounds": 2, "candidates": 102, "askedAlone": 0}


async def test_groups_of_a_part(gateway, refused):
    """Missing shards are told here too."""
    await gateway.upsert([(f"r{n}", [1.0, n], {"kind": f"k{n}"}) for n in range(20)])
    gateway.shards[1].failure = refused(grpc.StatusCode.UNAVAILABLE, "gone")
    answer = await ask(gateway, topK=20, allowPartial=True)
    assert len(answer["groups"]) == len(gateway.shards[0].rows[""])
    assert answer["missingShards"] == [{"shard": 1, "message": "shard 1 can't be reached"}]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"groupBy": {}}, "missing required field `field`"),
        ({"groupBy": {"field": ""}}, "name of a metadata field"),
        ({"groupBy": {"field": "$and"}}, "name of a metadata field"),
        ({"groupBy": {"field": "a", "rows": 0}}, "groupBy.rows is 0; it must be 1 to 100"),
        ({"groupBy": {"field": "a", "rows": 101}}, "1 to 100"),
        ({"groupBy": {"field": "a"}, "topK": 201}, "1 to 200"),
        ({"groupBy": {"field": "a"}, "rerank": {"query": "x"}}, "reranker"),
        ({"groupBy": {"field": "a", "size": 2}}, "unknown field `size`"),
    ],
)
async def test_refusals(gateway, body, said):
    """Each says what would be right."""
    answer = await gateway.ask("POST", "/query", {"topK": 1, "vector": [1.0, 0.0]} | body)
    assert answer.status == 400
    assert said in answer.json["message"]


async def test_a_row_that_does_not_exist_has_no_groups(gateway):
    """As it has no matches."""
    answer = await ask(gateway, vector=None, id="none", topK=3)
    assert (answer["groups"], answer["complete"]) == ([], True)


def nested(levels):
    """Return a filter of so many levels."""
    found = {"a": 1}
    for _ in range(levels - 1):
        found = {"$and": [found]}
    return found


def narrowed(condition):
    """Return the filters that shards are sent for groups of a query with a filter."""
    query = shard_pb2.Query(filter=limits.filter_of(condition))
    groups = grouping.Groups(grouping.GroupBy("kind", 2, 2))
    group = grouping.Group("x", [])
    groups.found[("string", "x")] = group
    return [
        grouping.next_query(query, groups, 10).filter,
        grouping.group_query(query, groups.how, group).filter,
    ]


@pytest.mark.parametrize(
    "condition",
    [
        nested(filters.MAX_DEPTH),
        {"$or": [nested(filters.MAX_DEPTH - 1), {"kind": "x"}]},
        {"$and": [{"a": number} for number in range(filters.MAX_CONDITIONS)]},
        {"$and": [{"kind": "x"}], "kind": {"$ne": "y"}},
        {"kind": {"$ne": "y"}},
    ],
    ids=["deep", "deep or", "wide", "of the field and more", "of the field"],
)
def test_whatever_filter_is_taken_is_taken_with_groups(condition):
    """Groups make it no deeper, and need no part of the conditions that a caller has."""
    assert filters.parse(limits.filter_of(condition)) is not None
    for filtered in narrowed(condition):
        assert filters.parse(filtered) is not None


@pytest.mark.parametrize("condition", [{"$and": []}, {"$and": {"a": 1}}, {"$and": 1, "kind": "x"}], ids=str)
def test_what_is_no_filter_becomes_none(condition):
    """It is refused as it is without groups."""
    for filtered in narrowed(condition):
        with pytest.raises(errors.BadFilterError, match="takes a list of one or more"):
            filters.parse(filtered)


async def test_a_filter_of_the_field_itself_holds(make_gateway):
    """Beside what finds groups, however it is written."""
    gateway = make_gateway(metric="dotproduct")
    await gateway.upsert([row(1, "a", 3), row(2, "b", 2), row(3, "b", 1), row(4, "c", 9)])
    for wanted in ({"kind": "b"}, {"$and": [{"kind": "b"}]}, {"$and": [{"kind": "b"}], "kind": {"$eq": "b"}}):
        assert told(await ask(gateway, topK=3, groupBy=FIELD | {"rows": 2}, filter=wanted)) == [
            ("b", ["r0002", "r0003"])
        ], json.dumps(wanted)


@pytest.mark.parametrize(("rows", "each"), [(100, 1), (3, 60)], ids=["many groups", "groups asked for alone"])
async def test_groups_hold_no_more_than_an_answer_may(make_gateway, monkeypatch, rows, each):
    """The rows of 200 groups would have gigabytes: beyond a bound a query is refused, in words that help."""
    monkeypatch.setattr(limits, "MAX_GROUPS_BYTES", 2**20)
    gateway = make_gateway(metric="dotproduct")
    text = {"text": "x" * 30_000}
    sent = [(f"f{number}", [900.0, 0.0], {"kind": "front"} | text) for number in range(110)]
    sent += [
        (f"{kind}-{number}", [float(kind), 0.0], {"kind": kind} | text)
        for kind in range(rows)
        for number in range(1 if each == 1 else 15)
    ]
    for start in range(0, len(sent), 100):
        await gateway.upsert(sent[start : start + 100])
    wanted = {"vector": [1.0, 0.0], "topK": rows, "groupBy": FIELD | {"rows": each}}
    refused = await gateway.ask("POST", "/query", wanted | {"includeMetadata": True})
    assert refused.status == 400
    assert "the groups' rows have more than 1 MiB together; ask for fewer groups" in refused.json["message"]
    assert len((await ask(gateway, **wanted))["groups"]) == rows
    few = await ask(gateway, **wanted | {"topK": 1, "groupBy": FIELD | {"rows": 5}}, includeMetadata=True)
    assert len(few["groups"][0]["matches"]) == 5
