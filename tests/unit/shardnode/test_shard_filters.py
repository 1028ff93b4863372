"""The filter language: what passes, against a naive oracle, and what is refused, by name."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vectorfleet_shardnode import errors, filters
from vectorfleet_shardnode.api import config

scalars = st.one_of(
    st.sampled_from(["", "1", "a", "true"]), st.integers(-2, 2), st.sampled_from([0.5, 1.0, True, False])
)
rows = st.dictionaries(st.sampled_from("ab"), scalars | st.lists(scalars, max_size=3))
numbers = st.integers(-2, 2) | st.sampled_from([0.5, 1.0])
conditions = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), scalars),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), numbers),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(scalars, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
)
leaves = st.builds(lambda field, condition: {field: dict([condition])}, st.sampled_from("ab"), conditions)
leaves |= leaves.map(lambda leaf: {name: {"$not": inner} for name, inner in leaf.items()})
trees = st.recursive(
    leaves,
    lambda inner: (
        st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["$and", "$or"]),
            st.lists(inner, min_size=1, max_size=3),
        )
        | inner.map(lambda part: {"$not": part})
    ),
    max_leaves=6,
)


TYPES = frozenset((kind.value, kind) for kind in config.FieldType) | {("at", config.FieldType.DATETIME)}


def same(left, right):
    """Equality of JSON: numbers equal by value, and only values of one type."""
    number = {int: "number", float: "number"}
    return number.get(type(left), type(left)) == number.get(type(right), type(right)) and left == right


def naive(tree, row):
    """The semantics, said as directly as possible."""
    [(name, inner)] = tree.items()
    if name in ("$and", "$or"):
        return (all if name == "$and" else any)(naive(part, row) for part in inner)
    if name == "$not":
        return not naive(inner, row)
    [(operator, operand)] = inner.items()
    if operator == "$not":
        return not naive({name: operand}, row)
    if operator == "$exists":
        return (name in row) == operand
    value = row.get(name)
    elements = value if isinstance(value, list) else [value] if name in row else []
    if operator in ("$eq", "$ne", "$in", "$nin"):
        listed = operand if isinstance(operand, list) else [operand]
        hit = any(same(element, wanted) for element in elements for wanted in listed)
        return hit if operator in ("$eq", "$in") else not hit
    compare = {"$gt": "__gt__", "$gte": "__ge__", "$lt": "__lt__", "$lte": "__le__"}[operator]
    return any(getattr(float(e), compare)(operand) for e in elements if type(e) in (int, float))


@settings(max_examples=400, deadline=None)
@given(trees, st.lists(rows, max_size=6))
def test_a_filter_passes_what_the_oracle_passes(tree, every):
    """For any filter and any metadata."""
    parsed = filters.parse(json.dumps(tree).encode())
    assert filters.mask(parsed, every).tolist() == [naive(tree, row) for row in every]


@pytest.mark.parametrize(
    ("source", "row", "passes"),
    [
        ({"a": 1}, {"a": True}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 2004}, {"a": "2004"}, False),
        ({"a": {"$in": [1, "x"]}}, {"a": True}, False),
        ({"a": "x"}, {"a": ["w", "x"]}, True),
        ({"a": {"$ne": "x"}}, {}, True),
        ({"a": {"$nin": ["x"]}}, {"a": ["w", "x"]}, False),
        ({"a": {"$gte": 1, "$lt": 3}}, {"a": 3}, False),
        ({"a": {"$gt": 0}}, {"a": "5"}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": {"$not": {"$gt": 1}}}, {}, True),
        ({"a": {"$not": {"$gt": 1, "$lt": 3}}}, {"a": 1}, True),
        ({"a": {"$gte": 1, "$not": {"$in": [2]}}}, {"a": 2}, False),
        ({"$not": {"a": 1, "b": 2}}, {"a": 1, "b": 3}, True),
        ({"$not": {"a": {"$not": {"$eq": 1}}}}, {"a": 1}, True),
        ({"$not": {}}, {"a": 1}, False),
        ({"a": {"$gt": 9007199254740992}}, {"a": 9007199254740993}, True),
    ],
)
def test_values_compare_within_their_type(source, row, passes):
    """1 is not true, "2004" is not 2004, a list passes by any element, a missing field passes negations."""
    assert filters.mask(filters.parse(json.dumps(source).encode()), [row]).tolist() == [passes]


@pytest.mark.parametrize(
    ("source", "value", "passes"),
    [
        ({"$gt": "2024-01-01"}, "2024-01-01T00:00:01", True),
        ({"$lte": "2024-01-01T12:00+02:00"}, "2024-01-01T10:00:00Z", True),
        ({"$lt": "2024-01-01"}, ["2025-01-01", "2023-12-31T23:00-00:30"], True),
        ("2024-01-01", "2024-01-01T01:00+01:00", True),
        ({"$in": ["2024-01-01", "2024-01-02"]}, "2024-01-02T00:00", True),
        ({"$nin": ["2024-01-01"]}, "2024-01-01 00:00:00.000000", False),
        ({"$ne": "2024-01-01"}, "yesterday", True),
        ({"$gt": "2024-01-01"}, "yesterday", False),
        ({"$gt": "1970-01-01"}, 5, False),
        ({"$exists": True}, "yesterday", True),
        ({"$not": {"$gt": "2024-01-01"}}, "yesterday", True),
    ],
)
def test_declared_dates_compare_as_points_in_time(source, value, passes):
    """Whatever their zone; what is no date is never one of them."""
    wanted = filters.parse(json.dumps({"at": source}).encode(), TYPES)
    assert filters.mask(wanted, [{"at": value}]).tolist() == [passes]


@pytest.mark.parametrize("source", [b"", b"{}"])
def test_an_empty_filter_passes_everything(source):
    """So that no row has to be looked at."""
    assert filters.parse(source) is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("[1]", "a filter is a JSON object; this is a list"),
        ("{", "not JSON"),
        ('{"price": {"$regex": "x"}}', r'field "price": \$regex is no operator; these are: \$eq'),
        ('{"price": {"$gt": "5"}}', r'field "price": \$gt takes a number; this is a string'),
        ('{"price": {"$gt": true}}', r'field "price": \$gt takes a number; this is a boolean'),
        ('{"price": {"$in": 5}}', r'field "price": \$in takes a list'),
        ('{"price": {"$in": [[1]]}}', r"\$in takes a list"),
        ('{"price": null}', r'field "price": \$eq takes a string, number or boolean; this is null'),
        ('{"price": {}}', 'field "price" has no operator'),
        ('{"price": {"$exists": 1}}', r"\$exists takes true or false"),
        ('{"price": {"$not": 5}}', r'field "price": \$not takes an object of operators; this is a number'),
        ('{"price": {"$not": {}}}', 'field "price" has no operator'),
        ('{"$not": [{"a": 1}]}', "a filter is a JSON object; this is a list"),
        ('{"a": {"$not": ' * 20 + "{}" + "}}" * 20, "is no operator"),
        ('{"a": ' + '{"$not": ' * 20 + '{"$eq": 1}' + "}" * 21, "deeper than 16"),
        (
            '{"at": {"$gt": 5}}',
            r'field "at" is declared datetime: \$gt takes a date of ISO 8601.*; this is the number 5',
        ),
        ('{"at": "2024-02-30"}', r'field "at" is declared datetime: \$eq takes .*; this is "2024-02-30"'),
        ('{"at": {"$in": "2024-02-03"}}', r'field "at": \$in takes a list of at most 10000 dates'),
        ('{"price": {"$gt": "2024-01-01"}}', "dates compare in fields that are declared datetime"),
        ('{"$and": []}', r"\$and takes a list of one or more filters"),
        ('{"$or": {"a": 1}}', r"\$or takes a list"),
        ('{"$eq": 1}', r"\$eq stands where a field"),
        ('{"$and": [' * 20 + "{}" + "]}" * 20, "deeper than 16"),
        ("{" + ",".join(f'"f{number}": 1' for number in range(1_003)) + "}", "more than 1000 conditions"),
        (json.dumps({"a": {"$in": list(range(10_001))}}), "at most 10000"),
        (" " * (1 << 20) + "{}", "at most 1048576"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_not_of_the_language_is_refused_by_name(source, said):
    """The message names the field, the operator, and what would be right."""
    with pytest.raises(errors.BadFilterError, match=said):
        filters.parse(source.encode(), TYPES)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"integer": "2004"}, r'declared integer: \$eq takes a number; this is "2004"'),
        ({"integer": {"$ne": True}}, r"declared integer: \$ne takes a number; this is a boolean"),
        ({"float": {"$in": [1, "2"]}}, r'declared float: \$in takes a number; this is "2"'),
        ({"float": {"$gt": "5"}}, r'declared float: \$gt takes a number; this is "5"'),
        ({"keyword": 5}, r"declared keyword: \$eq takes a string; this is the number 5"),
        ({"keyword": {"$nin": ["a", False]}}, r"declared keyword: \$nin takes a string; this is a boolean"),
        ({"keyword": {"$gte": "a"}}, r"declared keyword: \$gte compares numbers and dates; use \$eq"),
        ({"boolean": {"$lt": 1}}, r"declared boolean: \$lt compares numbers and dates"),
        ({"boolean": 1}, r"declared boolean: \$eq takes true or false; this is the number 1"),
        ({"$not": {"$or": [{"integer": {"$not": {"$eq": "x"}}}]}}, "declared integer"),
        ({"integer": None}, "this is null"),
        ({"integer": {"$in": 5}}, r'field "integer": \$in takes a list'),
        ({"datetime": 2004}, r"declared datetime: \$eq takes a date of ISO 8601.*; this is the number 2004"),
    ],
)
def test_what_no_value_of_a_declared_field_can_be_is_refused(condition, said):
    """With field, type, operator and what would be right, in place of silently finding nothing."""
    with pytest.raises(errors.BadFilterError, match=said):
        filters.parse(json.dumps(condition).encode(), TYPES)


@pytest.mark.parametrize(
    ("condition", "row", "passes"),
    [
        ({"integer": {"$gt": 2003.5}}, {"integer": 2004}, True),
        ({"integer": 2004.0}, {"integer": 2004}, True),
        ({"integer": {"$ne": 2004}}, {"integer": "2004"}, True),
        ({"float": {"$in": [1, 2]}}, {"float": [0.5, 2]}, True),
        ({"boolean": {"$in": [True]}}, {"boolean": True}, True),
        ({"keyword": {"$nin": ["a"]}}, {"keyword": "b"}, True),
        ({"keyword": {"$exists": False}}, {}, True),
        ({"other": "2004"}, {"other": 2004}, False),
        ({"other": 1}, {"other": True}, False),
    ],
)
def test_declared_fields_compare_with_values_of_their_type(condition, row, passes):
    """Any number with a whole one; what is stored of another type is found by negations alone."""
    wanted = filters.parse(json.dumps(condition).encode(), TYPES)
    assert filters.mask(wanted, [row]).tolist() == [passes]


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=60)
    | st.recursive(
        scalars | st.none(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["a", "$and", "$in", "$gt"]), x),
    ).map(lambda x: json.dumps(x).encode())
)
def test_no_input_breaks_the_parser(source):
    """Whatever comes is a filter or is refused as one."""
    try:
        parsed = filters.parse(source)
    except errors.BadFilterError:
        return
    assert parsed is None or filters.mask(parsed, [{"a": 1}, {}, None]).shape == (3,)
