"""A declared schema through real shards: dates compare as points in time, and wrong types are refused."""

import pytest

DAYS = {
    "a": "2026-01-31",
    "b": "2026-01-31T23:30:00Z",
    "c": "2026-02-01T00:15:00+01:00",  # before b
    "d": "2026-02-01",
}


@pytest.fixture(scope="module")
def http(make_fleet):
    """A client of two shards with four rows that have dates."""
    fields = [{"name": "day", "type": "datetime"}, {"name": "sizes", "type": "integer"}]
    with make_fleet(schema={"fields": fields}).http() as client:
        rows = [
            {"id": row_id, "values": [1, 0, 0, 1], "metadata": {"day": day, "sizes": [number, 10]}}
            for number, (row_id, day) in enumerate(DAYS.items())
        ]
        assert client.post("/vectors/upsert", json={"vectors": rows}).status_code == 200
        yield client


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"day": {"$gte": "2026-01-31T23:00:00Z"}}, "bcd"),
        ({"day": {"$lt": "2026-02-01T00:30:00+01:00"}}, "ac"),
        ({"day": "2026-01-31T00:00:00Z"}, "a"),
        ({"$not": {"day": {"$gte": "2026-02-01"}}}, "abc"),
        ({"sizes": 2}, "c"),
        ({"sizes": {"$gt": 5}}, "abcd"),
    ],
)
def test_filters_know_the_types(http, condition, expected):
    """Whatever zone a date is written in; a list passes where any of its elements does."""
    body = {"topK": 10, "vector": [1, 0, 0, 1], "filter": condition}
    answer = http.post("/query", json=body)
    assert answer.status_code == 200, answer.text
    assert sorted(match["id"] for match in answer.json()["matches"]) == list(expected)


def test_a_filter_that_is_no_date_is_refused(http):
    """The shards' words reach the caller."""
    body = {"topK": 1, "vector": [1, 0, 0, 1], "filter": {"day": {"$gt": "soon"}}}
    answer = http.post("/query", json=body)
    assert answer.status_code == 400
    assert 'field "day" is declared datetime' in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/query", {"topK": 1, "vector": [1, 0, 0, 1]}),
        ("/vectors/delete", {}),
        ("/describe_index_stats", {}),
    ],
)
def test_a_filter_of_another_type_is_refused_wherever_it_is_sent(http, path, body):
    """In place of an answer without rows, which says nothing of the mistake."""
    answer = http.post(path, json=body | {"filter": {"sizes": {"$in": [10, "10"]}}})
    assert answer.status_code == 400
    assert 'field "sizes" is declared integer: $in takes a number; this is "10"' in answer.json()["message"]


def test_nothing_of_a_wrong_upsert_is_written(http):
    """However its rows are spread over the shards."""
    rows = [{"id": f"x{number}", "values": [1, 0, 0, 1]} for number in range(20)]
    rows[7]["metadata"] = {"day": 3}
    answer = http.post("/vectors/upsert", json={"vectors": rows})
    assert answer.status_code == 400
    assert "id 'x7': metadata field" in answer.json()["message"]
    assert http.post("/describe_index_stats", json={}).json()["totalVectorCount"] == len(DAYS)
