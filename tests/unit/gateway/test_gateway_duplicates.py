"""Finding a field that an object names twice."""

import json
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_gateway import duplicates, errors, operations, schemas


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
    inner = duplicates._fields
    monkeypatch.setattr(duplicates, "_fields", lambda value: calls.append(value) or inner(value))
    wanted = {"a": {"$in": [item] * 1_000}, "b": [item, item, "b:c"]}
    assert duplicates.find(json.dumps(wanted).encode(), wanted) is None
    assert len(calls) < 20


MORE = st.sampled_from([("id", "b:"), ("text", ":a"), ("sparseValues", None)])


def written_rows(draw, escape):
    """Return the JSON of an upsert in which some object may name a field twice, and whether one does."""
    rows, twice = [], False
    for _ in range(draw(st.integers(1, 4))):
        metadata = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4).map(Pairs))
        row = [("id", draw(NAMES)), ("values", [0.5, 1.5]), ("metadata", metadata)]
        row += draw(
            st.lists(st.sampled_from([("id", "b:"), ("text", ":a"), ("sparseValues", None)]), max_size=2)
        )
        rows.append(Pairs(row))
        twice = twice or repeats(rows[-1])
    return written(Pairs([("vectors", rows)]), escape), twice


@given(st.data(), st.booleans())
def test_repeated_fields_of_many_rows_are_found(data, escape):
    """Rows are looked at together, and none hides another's."""
    text, twice = written_rows(data.draw, escape)
    assert (
        duplicates.find(text.encode(), msgspec.json.decode(text, type=schemas.Upsert)) is not None
    ) == twice


@pytest.mark.parametrize("size", [1, 2, 100_000])
def test_long_bodies_are_counted_whole(size):
    """Colons are counted a piece at a time, and each has its place in one piece."""
    fields = {f"field {number}": "x" * (2_000_000 // size) for number in range(size)}
    text = json.dumps(fields)
    assert duplicates.find(text.encode(), fields) is None
    again = (text[:-1] + ', "field 0": 1}').encode()
    assert duplicates.find(again, msgspec.json.decode(again)) == "field 0"


def kinds_of(kind, seen):
    """Collect the kinds of structs that a kind holds."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in seen:
            seen.add(kind)
            for field in msgspec.structs.fields(kind):
                kinds_of(field.type, seen)
    else:
        for inner in typing.get_args(kind):
            kinds_of(inner, seen)
    return seen


def test_what_is_absent_is_unset():
    """A field that has another default counts as one that was written, and evens out one that was dropped."""
    bodies = [one.body for one in operations.OPERATIONS if one.body is not None]
    found = set().union(*(kinds_of(body, set()) for body in bodies))
    assert schemas.Fusion in found
    defaults = {field.default for kind in found for field in msgspec.structs.fields(kind)}
    factories = {field.default_factory for kind in found for field in msgspec.structs.fields(kind)}
    assert defaults <= {msgspec.NODEFAULT, msgspec.UNSET}
    assert factories == {msgspec.NODEFAULT}


def test_a_field_that_is_named_twice_beside_one_that_has_a_default_is_refused():
    """A fusion without its method once counted as one that names it, and so hid a second `k`."""
    body = b'{"topK":1,"vector":[1.0],"text":"x","fusion":{"k":1,"k":2}}'
    with pytest.raises(errors.InvalidArgumentError, match="'k' twice"):
        schemas.decoder(schemas.Query)(body)


@pytest.mark.parametrize("levels", [100, 400, 700, 900, 980])
def test_no_depth_is_a_fault(levels):
    """What is nested too deeply to be looked through is refused in words."""
    deep = b'{"b":' * levels + b'{"c":1,"c":2}' + b"}" * levels
    with pytest.raises(errors.InvalidArgumentError, match=r"twice|too deeply"):
        schemas.decoder(schemas.Query)(b'{"topK":1,"filter":' + deep + b"}")
