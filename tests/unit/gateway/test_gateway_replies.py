"""Answers as JSON."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_gateway import errors, fusion, replies, routing

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(FLOATS, min_size=1), FLOATS)
def test_float32_goes_out_and_comes_back_the_same(values, score):
    """Any value and score, read as JSON's double and rounded to float32, is bit for bit what was stored."""
    row = routing.Row("a", np.array(values, np.float32))
    found = [fusion.Fused(routing.Hit(row, np.float32(score)))]
    reply = json.loads(replies.matches(replies.Answer(found, "", {}), 1).body)

    (match,) = reply["matches"]
    assert np.array(match["values"], np.float32).tobytes() == row.values.tobytes()
    assert np.float32(match["score"]).tobytes() == np.float32(score).tobytes()


def test_values_are_written_short():
    """0.1 is written as 0.1, not as the double that is nearest to its float32."""
    row = routing.Row("a", np.array([0.1, 1.0], np.float32))
    assert b'"values":[0.1,1.0]' in replies.fetched([row], "", 1).body


def test_metadata_is_passed_on_unread():
    """Its bytes stand in the answer as the shard keeps them; a row without any has no such field."""
    row = routing.Row("a", None, b'{"n":9223372036854775807}')
    assert b'"metadata":{"n":9223372036854775807}' in replies.fetched([row], "", 1).body
    assert b"metadata" not in replies.fetched([routing.Row("a", None)], "", 1).body


def test_failures_have_pinecones_form():
    """Code is gRPC's number, and details is always there."""
    reply = replies.failure(errors.InvalidArgumentError("topK is 0"))
    assert reply.status == 400
    assert json.loads(reply.body) == {"code": 3, "message": "topK is 0", "details": []}
