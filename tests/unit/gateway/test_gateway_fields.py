"""Vector fields from JSON to columns and back, and through the routes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_gateway import errors, fields
from vectorfleet_shardnode.api import config

FIELDS = [
    {"name": "title", "dimensions": 2},
    {"name": "tokens", "dimensions": 3, "lateInteraction": True},
]
GENERATION = config.Generation(dimensions=2, vectors=FIELDS)


@pytest.fixture
def gateway(make_gateway):
    """An app over two twins with two vector fields, under the dot product."""
    return make_gateway(vectors=FIELDS, metric="dotproduct")


@pytest.mark.parametrize(
    ("given_fields", "said"),
    [
        ({"nope": [1.0]}, "the index has no vector field 'nope'; its vector fields are: 'title', 'tokens'"),
        ({"title": [1.0]}, "id 'a': vectors.title has 1 dimensions; the index has 2 dimensions"),
        ({"title": [[1.0, 2.0]]}, "vectors.title takes one vector, a flat list of numbers"),
        ({"tokens": [1.0, 2.0, 3.0]}, "vectors.tokens takes a list of vectors, one for each token"),
        ({"tokens": [[1.0, 2.0, 3.0], 4.0]}, "vectors.tokens takes a list of vectors"),
        ({"tokens": [[1.0, 2.0]]}, "vectors.tokens[0] has 2 dimensions"),
        ({"tokens": [[1.0, 2.0, 3.0]] * 1025}, "is 1025; it must be 1 to 1024"),
        ({"title": [0.0, 0.0]}, "vectors.title is all zero"),
    ],
)
def test_fields_that_are_refused(given_fields, said):
    """The message names the row, the field and what it takes."""
    with pytest.raises(errors.InvalidArgumentError) as refused:
        fields.parse("id 'a'", given_fields, GENERATION)
    assert said in str(refused.value)


VALUE = st.floats(-9, 9, width=32).filter(bool)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "title": st.lists(VALUE, min_size=2, max_size=2),
        "tokens": st.lists(st.lists(VALUE, min_size=3, max_size=3), min_size=1, max_size=4),
    },
)


@given(st.lists(ROW, min_size=1, max_size=5))
def test_fields_come_back_as_they_went(rows):
    """Through columns, bit for bit; a row that has none of a field does not get it."""
    parsed = [fields.parse("a", row, GENERATION) for row in rows]
    back = fields.unpack(fields.pack(parsed), GENERATION) or [{} for _ in rows]
    assert [{name: values.tolist() for name, values in row.items()} for row in back] == rows


async def test_rows_have_vectors_beside_their_values(gateway):
    """Written, fetched, and found again with the values where these are asked for."""
    full = {"title": [1.0, 2.0], "tokens": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]}
    await gateway.upsert([("a", [1.0, 0.0], None, full), ("b", [0.0, 1.0], None, {"tokens": None})])
    rows = (await gateway.ask("GET", "/vectors/fetch", query="ids=a&ids=b")).json["vectors"]
    assert rows["a"]["vectors"] == full
    assert "vectors" not in rows["b"]
    body = {"topK": 2, "vector": [1.0, 0.0], "includeValues": True}
    matches = (await gateway.ask("POST", "/query", body)).json["matches"]
    assert [match.get("vectors") for match in matches] == [full, None]


async def test_an_update_sets_and_removes_vectors(gateway):
    """What is not named stays; null removes."""
    await gateway.upsert([("a", [1.0, 0.0], None, {"title": [1.0, 2.0], "tokens": [[1.0, 1.0, 1.0]]})])
    change = {"id": "a", "vectors": {"title": [3.0, 4.0], "tokens": None}}
    assert (await gateway.ask("POST", "/vectors/update", change)).status == 200
    row = (await gateway.ask("GET", "/vectors/fetch", query="ids=a")).json["vectors"]["a"]
    assert row["vectors"] == {"title": [3.0, 4.0]}
    assert row["values"] == [1.0, 0.0]


async def test_a_weighted_sum(gateway):
    """Each vector's score times its weight, the values' own included; 1 where no weight is given."""
    await gateway.upsert([("a", [1.0, 0.0], None, {"title": [0.0, 1.0]}), ("b", [2.0, 0.0])])
    body = {"topK": 2, "vector": [1.0, 0.0], "vectors": {"title": [0.0, 1.0]}, "weights": {"title": 3}}
    matches = (await gateway.ask("POST", "/query", body)).json["matches"]
    assert [(match["id"], match["score"]) for match in matches] == [("a", 4.0), ("b", 2.0)]
    body["weights"] = {"values": 5}
    matches = (await gateway.ask("POST", "/query", body)).json["matches"]
    assert [(match["id"], match["score"]) for match in matches] == [("b", 10.0), ("a", 6.0)]


async def test_the_row_of_an_id_lends_its_values(gateway):
    """As the vector of the sum, beside the vectors that are sent."""
    await gateway.upsert([("a", [0.0, 3.0], None, {"title": [1.0, 0.0]}), ("b", [0.0, 1.0])])
    body = {"topK": 2, "id": "b", "vectors": {"title": [1.0, 0.0]}}
    matches = (await gateway.ask("POST", "/query", body)).json["matches"]
    assert [(match["id"], match["score"]) for match in matches] == [("a", 4.0), ("b", 1.0)]


async def test_late_interaction_adds_the_best_of_each_token(gateway):
    """MaxSim over the matrix that the query sends."""
    await gateway.upsert([("a", [1.0, 0.0], None, {"tokens": [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]})])
    body = {"topK": 1, "vectors": {"tokens": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]}}
    (match,) = (await gateway.ask("POST", "/query", body)).json["matches"]
    assert match["score"] == 3.0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"vectors": {"nope": [1.0]}}, "the query: the index has no vector field 'nope'"),
        ({"vectors": {"title": []}}, "vectors.title is empty; leave it out"),
        ({"vector": [1.0, 2.0], "weights": {"title": 1}}, "weights is of a query with vectors"),
        ({"vectors": {"title": [1.0, 2.0]}, "weights": {"values": 1}}, "weights.values has no vector"),
        ({"vectors": {"title": [1.0, 2.0]}, "weights": {"title": 0}}, "weights.title is 0.0; it must be"),
        ({"vectors": {"title": [1.0, 2.0]}, "weights": {"title": -1001}}, "weights.title is -1001.0"),
        ({"vectors": {"tokens": [[1.0, 2.0, 3.0]] * 513}}, "is 513; it must be 1 to 512"),
    ],
)
async def test_sums_that_are_refused(gateway, body, said):
    """A weight without its vector would do nothing."""
    answer = await gateway.ask("POST", "/query", {"topK": 1} | body)
    assert answer.status == 400
    assert said in answer.json["message"]


async def test_fields_come_back_as_float32(gateway):
    """With the shortest decimals, as values do."""
    await gateway.upsert([("a", [1.0, 0.0], None, {"title": [0.1, 0.2]})])
    done = await gateway.ask("GET", "/vectors/fetch", query="ids=a")
    assert b'"title":[0.1,0.2]' in done.body
