"""Whatever bytes are sent as a filter or as metadata: the parsers answer, or refuse in their own words."""

import json

import hypothesis
import pytest
from fuzzing.inputs import DEEP, ask, fuzz, json_values, rubbish, texts
from hypothesis import strategies as st

from vectorfleet_shardnode import (
    errors,
    filters,
    operations,
)

pytestmark = pytest.mark.timeout(60)  # no input may keep a parser busy
operands = json_values | st.lists(st.integers() | texts | st.booleans(), max_size=4)
conditions = st.dictionaries(st.sampled_from([*filters.Operator, "$no"]), operands, max_size=2)
trees = st.recursive(
    st.dictionaries(texts | st.just("a"), conditions | operands, max_size=2),
    lambda inner: st.fixed_dictionaries({}, optional={"$and": st.lists(inner), "$or": st.lists(inner)}),
    max_leaves=8,
)


@fuzz
@hypothesis.given(
    rubbish | trees.map(lambda tree: json.dumps(tree).encode()), st.lists(json_values, max_size=3)
)
@hypothesis.example(DEEP[0], [])
@hypothesis.example(DEEP[1], [])
@hypothesis.example(b'{"a": {"$in": [' + b"1e400," * 9 + b"1]}}", [])
def test_any_bytes_are_a_filter_or_refused(source, fields):
    """A filter gives one answer for each row whatever its metadata is; a refusal can be sent as UTF-8."""
    rows = [{"a": value, "\0": value} for value in fields]
    parsed, _ = ask(errors.BadFilterError, filters.parse, source)
    assert parsed is None or filters.mask(parsed, [*rows, {}, None]).shape == (len(rows) + 2,)


@fuzz
@hypothesis.given(rubbish)
@hypothesis.example(DEEP[1])
def test_any_bytes_are_metadata_or_refused(content):
    """What passes is an object."""
    found, refusal = ask(errors.BadRequestError, operations.decode_metadata, content, "a")
    assert refusal or isinstance(found, dict)
