"""Finding a field that an object names twice."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_gateway import duplicates


class Pairs(list):
    """An object as pairs, so that names may repeat."""


NAMES = st.sampled_from(["a", "b", "a:b", ":", "é", "\\", '"'])
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), NAMES
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(st.tuples(NAMES, inner), max_size=4).map(Pairs)
    ),
    max_leaves=12,
)


def written(value, escape):
    """Return JSON text, colons of strings escaped where asked."""
    if isinstance(value, Pairs):
        fields = (f"{written(name, escape)} : {written(item, escape)}" for name, item in value)
        return "{" + ",".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(item, escape) for item in value) + "]"
    text = json.dumps(value)
    return text.replace(":", "\\u003a") if escape and isinstance(value, str) else text


def repeats(value):
    """Return whether some object of a value names a field twice."""
    if isinstance(value, Pairs):
        names = [name for name, _ in value]
        return len(names) != len(set(names)) or any(repeats(item) for _, item in value)
    return isinstance(value, list) and any(map(repeats, value))


@given(VALUES, st.booleans())
def test_repeated_fields_are_found_and_no_others(value, escape):
    """Whatever the strings hold, and however they are written."""
    body = written(value, escape).encode()
    assert (duplicates.find(body, msgspec.json.decode(body)) is not None) == repeats(value)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"x","id":"a:b"}',
        b'{"id":"a\\u003ab","id":"a:b"}',
        b'{"metadata":{"a":1},"metadata":{"b:":1}}',
    ],
)
def test_a_colon_in_a_string_hides_nothing(body):
    """Neither a colon in a value that stays, nor one in a value that was dropped, evens out the count."""
    assert duplicates.find(body, msgspec.json.decode(body)) is not None


def test_a_dropped_number_of_any_length_is_found():
    """Numbers are not made while looking, however many digits they have."""
    body = b'{"a":' + b"9" * 10_000 + b',"a":1}'
    assert duplicates.find(body, {"a": 1}) == "a"


@pytest.mark.parametrize("item", [1, 1.5, True, None, "a"])
def test_plain_lists_are_not_walked(monkeypatch, item):
    """Whatever is in them has no fields: millions of numbers would take seconds to look at one by one."""
    calls = []
    inner = duplicates._colons
    monkeypatch.setattr(duplicates, "_colons", lambda value: calls.append(value) or inner(value))
    wanted = {"a": {"$in": [item] * 1_000}, "b": [item, item, "b:c"]}
    assert duplicates.find(json.dumps(wanted).encode(), wanted) is None
    assert len(calls) < 20
