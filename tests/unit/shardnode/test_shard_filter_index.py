"""Filter indexes answer as the row test does, in memory, from a file, and while rows are added."""

import dataclasses
import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vectorfleet_shardnode import bits, errors, filters
from vectorfleet_shardnode.api import config, instants
from vectorfleet_shardnode.segments import (
    filter_fields,
    filter_file,
    filter_gathering,
    filter_index,
    growing_filters,
)

HARD = [0, -0.0, 1, 1.0, 0.5, True, False, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, 2**63, float(2**63)]
HARD += [2**64, -(2**63), -(2**63) - 1, 10**30, 1e30, 1e308, -1e308, 5e-324, 10**400, 1.5e15 + 0.5]
numbers = st.sampled_from(HARD).filter(lambda x: not isinstance(x, bool)) | st.integers() | st.floats(-9, 9)
days = st.dates().map(str) | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
texts = st.sampled_from(["", "1", "true", "2004", "ä", "a", "\U0001f600", "2024-02-29", "2024-02-30"])
scalars = st.sampled_from(HARD) | numbers | texts | st.text(max_size=5) | days
values = scalars | st.lists(scalars, max_size=4) | st.none() | st.just({"x": 1}) | st.just([[1], None])
rows = st.none() | st.dictionaries(st.sampled_from("abd"), values)
ranges = st.sampled_from(["$gt", "$gte", "$lt", "$lte"])
operators = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), scalars),
    st.tuples(ranges, numbers),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(scalars, max_size=4)),
    st.tuples(st.just("$exists"), st.booleans()),
)
dated = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]) | ranges, days),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(days, max_size=4)),
)


def leaves(name, chosen):
    """Conditions on one field, plain or negated."""
    plain = chosen.map(lambda one: dict([one]))
    return (plain | plain.map(lambda inner: {"$not": inner})).map(lambda inner: {name: inner})


trees = st.recursive(
    leaves("a", operators) | leaves("b", operators) | leaves("d", dated),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$and": parts})
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$or": parts})
        | inner.map(lambda part: {"$not": part})
    ),
    max_leaves=5,
)
DATES = frozenset([("d", config.FieldType.DATETIME)])


def parse(tree):
    """Parse a filter of an index whose field `d` is declared datetime."""
    return filters.parse(json.dumps(tree).encode(), DATES)


@settings(max_examples=400, deadline=None)
@given(trees, st.lists(rows, max_size=70))
def test_an_index_passes_what_the_row_test_passes(tree, every):
    """For any filter and any metadata: huge numbers, negative zero, all of Unicode, lists, nulls, dates."""
    wanted, indexes = parse(tree), filter_gathering.build(every)
    chosen = filter_index.evaluate(
        wanted.root, lambda name: indexes.get(name, filter_index.EMPTY), len(every)
    )
    assert bits.to_mask(chosen, len(every)).tolist() == filters.mask(wanted, every).tolist()


@settings(max_examples=150, deadline=None)
@given(trees, st.lists(rows, max_size=40))
def test_a_file_answers_as_what_was_written(tmp_path_factory, tree, every):
    """Every array comes back, those of integers beyond 64 bits too."""
    path = tmp_path_factory.mktemp("filters") / "filters.bin"
    content = [msgspec.json.encode(row) if row else b"" for row in every]
    filter_file.write(path, lambda: content, len(every))
    fields = filter_fields.FilterFields(
        len(every), lambda: pytest.fail("read"), filter_file.FilterFile(path, len(every))
    )
    wanted = parse(tree)
    assert bits.to_mask(fields.passing(wanted), len(every)).tolist() == filters.mask(wanted, every).tolist()


@settings(max_examples=60, deadline=None)
@given(trees, st.lists(rows, min_size=1, max_size=8), st.lists(st.integers(1, 700), max_size=8))
def test_a_growing_segment_answers_for_any_number_of_its_first_rows(tree, kinds, steps):
    """Whether they are in whole blocks or behind them, remembered or new."""
    decoded, every = [], [kinds[number * number % len(kinds)] for number in range(sum(steps))]
    fields, wanted, taken = growing_filters.GrowingFilters(decoded), parse(tree), 0
    for step in steps:
        decoded += every[taken : taken + step]
        taken += step
        assert fields.mask(wanted, taken).tolist() == filters.mask(wanted, every[:taken]).tolist()
        assert fields.mask(wanted, taken // 2).tolist() == filters.mask(wanted, every[: taken // 2]).tolist()


def test_only_the_fields_with_the_most_rows_are_stored_and_the_others_are_found_all_the_same(
    tmp_path, monkeypatch
):
    """Beyond the bound a field is indexed in memory, once, when it is asked for."""
    monkeypatch.setattr(filter_file, "MAX_FIELDS", 1)
    every = [{"often": 1, "rare": row} if row % 2 else {"often": 2} for row in range(10)]
    content, reads = [msgspec.json.encode(row) for row in every], []
    filter_file.write(tmp_path / "filters.bin", lambda: content, 10)
    stored = filter_file.FilterFile(tmp_path / "filters.bin", 10)
    fields = filter_fields.FilterFields(10, lambda: reads.append(1) or content, stored)
    for tree, passing in (({"often": 2}, 5), ({"rare": 3}, 1), ({"rare": {"$gt": 3}}, 3), ({"no": 1}, 0)):
        assert bits.count(fields.passing(parse(tree))) == passing
    assert len(reads) == 2  # for `rare` and for `no`


def test_names_that_each_row_has_for_itself_are_not_gathered(tmp_path, monkeypatch):
    """Such as ids of users: there is no end of them; names that many rows have are stored all the same."""
    monkeypatch.setattr(filter_gathering, "_COUNTED_NAMES", 50)
    monkeypatch.setattr(filter_file, "MAX_FIELDS", 2)
    every = [{f"user-{row}": True, "often": row, **({"half": 1} if row % 2 else {})} for row in range(400)]
    found = filter_gathering.common(iter(every), 2)
    assert (set(found.names), found.all) == ({"often", "half"}, False)
    gathered = []
    monkeypatch.setattr(filter_gathering, "Gathering", _noted(filter_gathering.Gathering, gathered))
    content = [msgspec.json.encode(row) for row in every]
    filter_file.write(tmp_path / "filters.bin", lambda: content, 400)
    assert len(gathered) == 2
    fields = filter_fields.FilterFields(
        400, lambda: iter(content), filter_file.FilterFile(tmp_path / "filters.bin", 400)
    )
    for tree, passing in (({"often": {"$lt": 7}}, 7), ({"half": 1}, 200), ({"user-7": True}, 1)):
        assert bits.count(fields.passing(parse(tree))) == passing


def _noted(kind, made):
    def make():
        made.append(kind())
        return made[-1]

    return make


def test_a_file_of_another_format_or_of_other_rows_is_damage(tmp_path):
    """The message names the file and what is wrong."""
    path = tmp_path / "filters.bin"
    filter_file.write(path, lambda: [b'{"a": 1}'], 1)
    content = path.read_bytes()
    for broken, said in (
        (b"x" + content[1:], "no file of filter indexes"),
        (content[:20], "no file of filter indexes"),
        (content[:8] + b"\2" + content[9:], "format 2"),
        (content[:-1] + b"!", "directory"),
    ):
        path.write_bytes(broken)
        with pytest.raises(errors.DataLossError, match=said):
            filter_file.FilterFile(path, 1)
    path.write_bytes(content)
    with pytest.raises(errors.DataLossError, match="of 1 rows; the segment has 2"):
        filter_file.FilterFile(path, 2)


@given(st.integers(0, 300), st.data())
def test_sets_of_rows_are_sets(size, data):
    """Bitmaps agree with Python's sets, at any size."""
    left = data.draw(st.sets(st.integers(0, max(size - 1, 0)), max_size=size))
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    chosen = bits.of_rows(np.array(sorted(left), np.uint32), size)
    mask = bits.to_mask(chosen, size)
    assert bits.to_rows(chosen).tolist() == sorted(left)
    assert bits.count(chosen) == len(left)
    assert np.array_equal(bits.of_mask(mask), chosen)
    assert set(bits.to_rows(bits.inverted(chosen, size)).tolist()) == set(range(size)) - left
    assert set(bits.to_rows(bits.within(chosen, range(start, stop))).tolist()) == left & set(
        range(start, stop)
    )


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1_000_000),
        ("1970-01-01 00:00:01Z", 1_000_000),
        ("1970-01-01T02:00+02:00", 0),
        ("1970-01-01T02:00:00.000001+0200", 1),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
        ("1969-12-31T23:59:59,5z", -500_000),
        ("0001-01-01T00:00+14:00", -62_135_647_200_000_000),
        ("2024-02-30", None),
        ("20240229", None),
        ("2024-2-29", None),
        ("2024-02-29T25:00", None),
        ("2024-02-29x10:00", None),
        ("2024-02-29\n", None),
        ("٢٠٢٤-02-29", None),
        (5, None),
        (True, None),
    ],
)
def test_dates_are_points_in_time(text, micros):
    """With and without zone and time; what is no such date is none."""
    assert instants.of(text) == micros


def test_two_filters_of_one_source_differ_where_declared_dates_do():
    """So that what was remembered under another schema is not taken for it."""
    source = b'{"d": "2024-01-01"}'
    plain, as_date = filters.parse(source), filters.parse(source, DATES)
    assert plain != as_date
    every = [{"d": "2024-01-01T00:00Z"}, {"d": "2024-01-01"}]
    assert filters.mask(plain, every).tolist() == [False, True]
    assert filters.mask(as_date, every).tolist() == [True, True]
    assert dataclasses.replace(plain) == plain
