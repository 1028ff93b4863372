"""Sparse values in the forms that users have them, on the wire and back."""

import json

import numpy as np
import pytest

import vectorfleet
from vectorfleet import calls, errors, queries, rows, sparse

INDICES, VALUES = [7, 2**32 - 1, 0], [0.5, -2.0, 1.0]
FORMS = [
    sparse.SparseValues(INDICES, VALUES),
    {"indices": INDICES, "values": VALUES},
    {"indices": np.array(INDICES, np.uint32), "values": np.array(VALUES, np.float32)},
    {"indices": tuple(INDICES), "values": [np.float16(value) for value in VALUES]},
]
PLAIN = {"indices": INDICES, "values": VALUES}


@pytest.mark.parametrize("given", FORMS, ids=["struct", "mapping", "arrays", "scalars"])
def test_every_form_is_the_same_on_the_wire(given):
    """In a row, in a query and in an update, in their order."""
    row = {"id": "a", "values": [1.0], "sparse_values": given}
    assert json.loads(rows.encode(row)) == {"id": "a", "values": [1.0], "sparseValues": PLAIN}
    asked = calls.query(queries.Query(vector=[1.0], sparse_vector=given))
    assert json.loads(asked.content)["sparseVector"] == PLAIN
    changed = calls.update("a", calls.Change(sparse_values=given), "")
    assert json.loads(changed.content) == {"id": "a", "namespace": "", "sparseValues": PLAIN}


def test_a_row_that_was_read_can_be_written_again():
    """As it was; and two are equal where their sparse values are, as float32."""
    body = b'{"vectors":{"a":{"id":"a","values":[1],"sparseValues":{"indices":[7],"values":[0.1]}}}}'
    (call,) = calls.fetch(["a"], "")
    row = call.decode(body).vectors["a"]
    assert row.sparse_values == sparse.SparseValues([7], [np.float32(0.1)])
    assert json.loads(rows.encode(row))["sparseValues"] == {"indices": [7], "values": [0.1]}
    assert row != rows.Row("a", row.values)
    assert row == rows.Row("a", row.values, sparse_values=sparse.SparseValues([7], [0.1]))


def test_a_match_has_them():
    """Where values were asked for."""
    body = b'{"matches":[{"id":"a","score":1.5,"values":[1],"sparseValues":{"indices":[7],"values":[0.5]}}]}'
    [match] = calls.query(queries.Query(vector=[1.0])).decode(body).matches
    assert match.sparse_values == vectorfleet.SparseValues([7], [0.5])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([0.5], "a mapping of indices and values"),
        ({"indices": [1]}, "a mapping of indices and values"),
        ({"indices": [1], "values": [1], "more": 1}, "a mapping of indices and values"),
        ({"indices": [1, 2], "values": [1.0]}, "2 indices and 1 values"),
        ({"indices": [], "values": []}, "one index at least"),
        ({"indices": [1], "values": [float("nan")]}, "NaN"),
        ({"indices": [1.5], "values": [1]}, "indices of sparse values are a flat list of integers"),
        ({"indices": [[1]], "values": [1]}, "a flat list of integers"),
        ({"indices": [1], "values": ["x"]}, "values of sparse values are a flat list of numbers"),
        ({"indices": [-1], "values": [1]}, "0 to 4294967295"),
        ({"indices": [2**32], "values": [1]}, "0 to 4294967295"),
    ],
)
def test_what_is_none_is_refused_before_it_is_sent(given, said):
    """The row is named."""
    with pytest.raises(errors.InvalidInputError, match=said) as caught:
        rows.encode({"id": "odd", "values": [1.0], "sparse_values": given})
    assert "row 'odd'" in str(caught.value)


def test_an_update_of_nothing_names_what_it_may_have():
    """Sparse values among it."""
    with pytest.raises(errors.InvalidInputError, match="sparse_values"):
        calls.update("a", calls.Change(), "")
