"""Declared types of metadata, checked before any shard sees a part of a request."""

import pytest

FIELDS = [{"name": "year", "type": "integer"}, {"name": "day", "type": "datetime"}]


@pytest.fixture
def gateway(make_gateway):
    """An app over two twins that knows of a number and a date."""
    return make_gateway(schema={"fields": FIELDS})


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"year": "2004"}, "id 'b': metadata field \"year\" is declared integer: it takes a whole number"),
        ({"year": 1.5}, "this is the number 1.5"),
        ({"year": True}, "this is a boolean"),
        ({"year": [2004, "2005"]}, 'this is "2005"'),
        ({"day": "yesterday"}, 'field "day" is declared datetime: it takes a date of ISO 8601'),
        ({"day": "2026-02-30"}, 'this is "2026-02-30"'),
        ({"year": [[1]]}, "a value is a string, a number, a boolean or a list of strings"),
        ({"other": [1]}, "is a list that holds something else than strings"),
    ],
)
async def test_a_value_of_another_type_spoils_the_request(gateway, metadata, said):
    """Nothing of it is written, on no shard; the message names row, field, type and value."""
    rows = [{"id": "a", "values": [1, 1]}, {"id": "b", "values": [1, 1], "metadata": metadata}]
    answer = await gateway.ask("POST", "/vectors/upsert", {"vectors": rows})
    assert answer.status == 400
    assert said in answer.json["message"]
    assert gateway.written == 0
    answer = await gateway.ask("POST", "/vectors/update", {"id": "b", "setMetadata": metadata})
    assert answer.status == 400


async def test_what_fits_is_written(gateway):
    """A whole number however it is written, lists of them, and dates with and without time."""
    metadata = {"year": [2004, 2005.0], "day": "2026-01-31T10:00:00+01:00", "other": "x"}
    await gateway.upsert(
        [("a", [1.0, 1.0], metadata), ("b", [1.0, 1.0], {"day": "2026-01-31"}), ("c", [1.0, 1.0])]
    )
    assert gateway.written == 3
