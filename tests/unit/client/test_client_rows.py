"""Rows in the forms that users have them, and as JSON."""

import json
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies

from vectorfleet import errors, rows

VALUES = [0.5, -2.0]


@pytest.mark.parametrize(
    "row",
    [
        rows.Row("a", np.array(VALUES, np.float32), {"x": 1}),
        {"id": "a", "values": VALUES, "metadata": {"x": 1}},
        ("a", VALUES, {"x": 1}),
        ["a", tuple(VALUES), {"x": np.int64(1)}],
        ("a", np.array(VALUES, np.float16), {"x": 1}),
    ],
)
def test_every_form_of_a_row_is_the_same_on_the_wire(row):
    """A Row, a mapping, a tuple and numpy's types all say the same."""
    assert json.loads(rows.encode(row)) == {"id": "a", "values": VALUES, "metadata": {"x": 1}}


@pytest.mark.parametrize(
    "row",
    [
        rows.Row("a", np.array(VALUES, np.float32), vectors={"t": np.float32([[1], [2]]), "u": None}),
        {"id": "a", "values": VALUES, "vectors": {"t": [[1], [2]], "u": None}},
        ("a", VALUES, None, {"t": [np.float32([1]), (2,)], "u": None}),
    ],
)
def test_vectors_of_vector_fields(row):
    """A matrix in any form is a list of lists; None says that there is no vector."""
    assert json.loads(rows.encode(row)) == {
        "id": "a",
        "values": VALUES,
        "vectors": {"t": [[1], [2]], "u": None},
    }


def test_a_row_without_metadata_says_nothing_of_it():
    """No metadata and empty metadata are left out."""
    assert json.loads(rows.encode(("a", [1]))) == {"id": "a", "values": [1]}
    assert json.loads(rows.encode(("a", [1], {}))) == {"id": "a", "values": [1]}


@pytest.mark.parametrize(
    "row",
    [{"id": "a", "text": "t", "metadata": {"x": 1}}, rows.Row("a", None, {"x": 1}, text="t")],
    ids=["mapping", "row"],
)
def test_a_row_may_have_a_text_in_place_of_values(row):
    """The index embeds it."""
    assert json.loads(rows.encode(row)) == {"id": "a", "text": "t", "metadata": {"x": 1}}
    assert rows.fields_of(row).text == "t"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a", "a row is a Row, a mapping or"),
        (3, "a row is a Row, a mapping or"),
        ((), "a row is a Row, a mapping or"),
        (("", [1]), "a row's id is a string"),
        ((7, [1]), "a row's id is a string of 1 to 512 characters, not int 7"),
        ({"values": [1]}, "a row's id is a string"),
        ({"id": "a"}, "row 'a' has no values and no text"),
        ({"id": "a", "values": [1], "text": "t"}, "row 'a' has values and a text to be embedded"),
        ({"id": "a", "text": 1}, "the text of row 'a' is not a string: int 1"),
        ({"id": "a", "values": [1], "colour": "red"}, "put fields of your own into metadata"),
        (("a", [1], "red"), "the metadata of row 'a' is not a mapping"),
        (("a", [1], None, [2]), "the vectors of row 'a' are not a mapping"),
        (("a", [1], None, {"t": [[[1]]]}), r"row 'a': vectors\['t'\]: a vector has one dimension"),
        (("a", [1], None, {"t": [1, [2]]}), r"row 'a': vectors\['t'\]: a vector is a flat list"),
        (("a", [1], None, {"t": [math.nan]}), r"row 'a': vectors\['t'\]: value 0 of the vector is nan"),
        (("a", [1], None, {"t": 3}), r"row 'a': vectors\['t'\]"),
        (("a", []), "row 'a': a vector has at least one value"),
        (("a", [[1, 2]]), r"row 'a': a vector has one dimension; this has the shape \(1, 2\)"),
        (("a", [1, [2]]), "row 'a': a vector is a flat list of numbers"),
        (("a", ["1"]), "row 'a': a vector holds numbers"),
        (("a", [True]), "row 'a': a vector holds numbers"),
        (("a", "12"), "row 'a': a vector has one dimension"),
        (("a", [0.0, math.nan]), "row 'a': value 1 of the vector is nan"),
        (("a", [1], {"x": math.inf}), "row 'a': metadata field 'x' is inf"),
        (("a", [1], {"x": np.float32("nan")}), "row 'a': metadata field 'x' is nan"),
        (("a", [1], {"x": object()}), "row 'a': this has no form in JSON"),
        (("a", [1], {"x": "\ud800"}), "row 'a': this has no form in JSON"),
    ],
)
def test_what_is_no_row_is_refused_with_what_would_be_right(row, message):
    """Each mistake is named before anything is sent."""
    with pytest.raises(errors.InvalidInputError, match=message):
        rows.encode(row)


@hypothesis.given(
    numpy_strategies.arrays(
        np.float32,
        strategies.integers(1, 50),
        elements=strategies.floats(allow_nan=False, allow_infinity=False, width=32),
    )
)
def test_float32_survives_the_wire_bit_for_bit(vector):
    """What a server reads as float32 is what the user had."""
    read = np.array(json.loads(rows.encode(("a", vector)))["values"], np.float32)
    assert read.tobytes() == vector.tobytes()


def test_rows_are_equal_by_value():
    """Two rows with equal arrays are equal; no metadata is the same as empty metadata."""
    one, other = np.ones(3, np.float32), np.ones(3, np.float32)
    assert rows.Row("a", one, {}) == rows.Row("a", other, None)
    assert rows.Row("a", one) != rows.Row("a", other * 2)
    assert rows.Row("a", one) != rows.Row("a", None)


@pytest.mark.parametrize(
    ("row", "id_"),
    [(rows.Row("a"), "a"), ({"id": "a"}, "a"), (("a", 1, 2, 3), "a"), ("a", ""), (None, ""), ((3, []), "")],
)
def test_an_id_is_told_even_of_a_broken_row(row, id_):
    """A report of failures names what can be named."""
    assert rows.id_of(row) == id_
