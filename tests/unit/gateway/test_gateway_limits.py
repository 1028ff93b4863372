"""What the API takes, at each limit and one beyond it."""

import numpy as np
import orjson
import pytest

from vectorfleet_gateway import errors, limits
from vectorfleet_shardnode import errors as shard_errors
from vectorfleet_shardnode import filters
from vectorfleet_shardnode.api import config

COSINE, DOT = config.Metric.COSINE, config.Metric.DOTPRODUCT


def refusal(check, *args):
    """Return what is said where a value is refused."""
    with pytest.raises(errors.InvalidArgumentError) as caught:
        check(*args)
    return str(caught.value)


@pytest.mark.parametrize(
    "row_id", ["a", "x" * 512, "é" * 512, "with space/slash?&#:", "\N{PILE OF POO}", "\x01"]
)
def test_ids_that_are_taken(row_id):
    """An id is 1 to 512 characters of Unicode, counted as characters and not as bytes."""
    limits.check_id(row_id)


@pytest.mark.parametrize(
    ("row_id", "said"),
    [("", "empty"), ("x" * 513, "513 characters"), ("a\0b", "NUL"), ("\ud800", "surrogate")],
)
def test_ids_that_are_refused(row_id, said):
    """The message says what was wrong and what ids are."""
    assert said in refusal(limits.check_id, row_id)


def test_lists_of_ids():
    """One to 1,000 ids are taken."""
    limits.check_ids(["a"] * 1000)
    assert "empty" in refusal(limits.check_ids, [])
    assert "1001 ids" in refusal(limits.check_ids, ["a"] * 1001)


@pytest.mark.parametrize("name", [None, "", "__default__"])
def test_the_default_namespace_has_three_names(name):
    """Absent, empty and `__default__` mean the same namespace."""
    assert limits.namespace_of(name) == ""


def test_namespaces_that_are_refused():
    """NUL separates a namespace from an id where rows are placed, so no namespace holds it."""
    assert limits.namespace_of("n" * 512) == "n" * 512
    assert "513 characters" in refusal(limits.namespace_of, "n" * 513)
    assert "NUL" in refusal(limits.namespace_of, "a\0b")


@pytest.mark.parametrize("top_k", [0, -1, 10_001, 10**30])
def test_top_k(top_k):
    """TopK is 1 to 10,000; the message names what was sent."""
    limits.check_range("topK", 1, 1, limits.MAX_TOP_K)
    limits.check_range("topK", 10_000, 1, limits.MAX_TOP_K)
    said = refusal(limits.check_range, "topK", top_k, 1, limits.MAX_TOP_K)
    assert said == f"topK is {top_k}; it must be 1 to 10000"


def test_texts_that_are_refused():
    """Blank, endless and broken ones; anything else is a text."""
    limits.check_text("ein Wort")
    limits.check_text("\0")
    assert "blank" in refusal(limits.check_text, " \n")
    assert "8193 characters" in refusal(limits.check_text, "x" * 8_193)
    assert "surrogate" in refusal(limits.check_text, "a\ud800")


def test_a_wrong_dimension_names_both_numbers():
    """Which vector it was, how many dimensions it has, and how many the index has."""
    said = refusal(limits.vectors_of, [("id 'a'", [1.0, 2.0]), ("id 'b'", [1.0])], 2, COSINE)
    assert said == (
        "id 'b' has 1 dimensions; the index has 2 dimensions. "
        "Vector dimension 1 does not match the dimension of the index 2"
    )


def test_float32_overflow_names_the_value():
    """A number that is finite in JSON may not be in float32."""
    said = refusal(limits.vectors_of, [("id 'a'", [1.0, 2.0]), ("id 'b'", [1.0, -1e39])], 2, DOT)
    assert said == "id 'b': value 1 is -1e+39, which float32 can't hold"


def test_the_greatest_float32_is_taken():
    """Under cosine, which compares directions."""
    greatest = float(np.finfo(np.float32).max)
    assert limits.vectors_of([("x", [greatest, -greatest])], 2, COSINE).tolist() == [[greatest, -greatest]]


@pytest.mark.parametrize("metric", [DOT, config.Metric.EUCLIDEAN])
@pytest.mark.parametrize("before", [[], [("id 'a'", [1.0, 2.0])]])
def test_a_vector_whose_scores_would_overflow_is_refused(metric, before):
    """With its length and the limit; one of the limit's length is taken, and its score is finite."""
    long = float(np.finfo(np.float32).max)
    said = refusal(limits.vectors_of, [*before, ("id 'b'", [0.0, long])], 2, metric)
    assert said.startswith(f"id 'b' has length 3.4e+38; under {metric} it is at most 1e+15")
    said = refusal(limits.vectors_of, [*before, ("id 'b'", [1.1e15, 0.0])], 2, metric)
    assert said.startswith("id 'b' has length 1.1e+15; ")
    longest = float(np.float32(0.99e15))
    matrix = limits.vectors_of([*before, ("id 'b'", [longest, 0.0])], 2, metric)
    assert matrix[-1].tolist() == [longest, 0.0]


@pytest.mark.parametrize("values", [[0.0, 0.0], [-0.0, 0.0], [1e-50, 0.0]])
def test_a_zero_vector_has_no_cosine(values):
    """Zero after rounding to float32 counts as zero; the other metrics take it."""
    assert "all zero" in refusal(limits.vectors_of, [("q", values)], 2, COSINE)
    assert limits.vectors_of([("q", values)], 2, DOT).tolist() == [[0.0, 0.0]]


def test_flat_metadata_is_taken():
    """Strings, numbers, booleans and lists of strings, as they were sent."""
    fields = {"s": "é", "i": 7, "f": 0.1, "b": True, "l": ["a", "b"], "e": [], "n": -(2**63 - 1)}
    assert limits.metadata_of("x", fields, {}) == (
        '{"s":"é","i":7,"f":0.1,"b":true,"l":["a","b"],"e":[],"n":-9223372036854775807}'.encode()
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        ({"x": 1}, "an object"),
        ([1], "a list that holds something else than strings"),
        ([["a"]], "a list that holds something else than strings"),
        ([None], "a list that holds something else than strings"),
        (2**63, "a number of more than 64 bits"),
    ],
)
def test_metadata_that_is_refused(value, kind):
    """The message names the row and the field."""
    said = refusal(limits.metadata_of, "id 'a'", {"good": 1, "bad": value}, {})
    assert said.startswith(f"id 'a': metadata field 'bad' is {kind}; ")


def test_metadata_is_counted_in_bytes():
    """40 KB is 40,960 bytes of UTF-8, where 'é' is two."""
    room = limits.MAX_METADATA_BYTES - len('{"k":""}')
    assert len(limits.metadata_of("x", {"k": "a" * room}, {})) == 40_960
    assert len(limits.metadata_of("x", {"k": "é" * (room // 2)}, {})) == 40_960
    assert "40962 bytes" in refusal(limits.metadata_of, "x", {"k": "é" * (room // 2 + 1)}, {})


def test_filters_are_kept_from_being_endless():
    """An empty filter, one of too many levels, too many bytes, or numbers that no shard reads."""
    nested = {"a": 1}
    for _ in range(31):
        nested = {"$and": nested}
    assert limits.filter_of(nested)
    assert "deeper than 32" in refusal(limits.filter_of, {"$and": nested})
    assert "empty" in refusal(limits.filter_of, {})
    assert "64 bits" in refusal(limits.filter_of, {"a": 2**70})
    assert "65546 bytes" in refusal(limits.filter_of, {"k": "a" * 65_538})


def test_the_bound_of_float32():
    """The greatest number below it is taken, and it is not."""
    below = float(np.nextafter(limits.FLOAT32_BOUND, 0))
    assert np.isfinite(limits.vectors_of([("a", [below])], 1, COSINE)).all()
    with pytest.raises(errors.InvalidArgumentError, match="float32"):
        limits.vectors_of([("a", [limits.FLOAT32_BOUND])], 1, COSINE)


def test_a_filter_is_measured_before_it_is_walked(monkeypatch):
    """One that is too long is refused by its length, and one without many levels is not walked at all."""
    monkeypatch.setattr(limits, "_deeper_than", lambda *_: pytest.fail("it was walked"))
    assert "at most 65536 are taken" in refusal(limits.filter_of, {"a": {"$in": [1] * 100_000}})
    assert limits.filter_of({"a": {"$in": list(range(10_000))}})


def test_what_nests_without_end_is_refused():
    """Also where it is too deep to be encoded."""
    nested = {"a": 1}
    for _ in range(600):
        nested = {"$and": nested}
    assert "deeper than 32" in refusal(limits.filter_of, nested)


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ([], 2**20 + 4 * 32),
        ([{"name": "title", "dimensions": 8}], 2**20 + 12 * 32),
        ([{"name": "body", "dimensions": 8, "late_interaction": True}], 2**20 + (4 + 512 * 8) * 32),
    ],
)
def test_a_question_is_as_long_as_the_index_needs(fields, most):
    """Its vectors, with room for every digit, and a megabyte for all else."""
    generation = config.Generation(dimensions=4, vectors=fields)
    assert limits.most_question_bytes(generation) == most


CROWDS = {
    "fields": lambda number: {f"f{one}": one for one in range(number)},
    "operators": lambda number: (
        {"$or": [{"a": {"$gt": one, "$lt": 9}} for one in range(number // 2)]}
        | ({"b": 1} if number % 2 else {})
    ),
    "negated": lambda number: {"$not": {"$and": [{"a": {"$not": {"$eq": one}}} for one in range(number)]}},
    "listed": lambda number: {"$or": [{"a": {"$in": [one, {}]}} for one in range(number)]},
}


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS)
def test_a_thousand_conditions_are_taken_and_no_more(crowd):
    """Whatever way they are written; the shard, which takes two more for groups, is not even asked."""
    assert limits.filter_of(crowd(1_000))
    assert "filter has 1001 conditions; at most 1000" in refusal(limits.filter_of, crowd(1_001))


@pytest.mark.parametrize("crowd", [crowd for name, crowd in CROWDS.items() if name != "listed"])
def test_conditions_are_counted_as_the_shard_counts_them(crowd):
    """It takes 1,002, and refuses the next."""
    assert filters.parse(orjson.dumps(crowd(1_002)))
    with pytest.raises(shard_errors.BadFilterError, match="more than 1000 conditions"):
        filters.parse(orjson.dumps(crowd(1_003)))
    assert limits._conditions_of(crowd(1_002)) == 1_002
