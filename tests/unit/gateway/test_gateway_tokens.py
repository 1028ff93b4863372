"""Pagination tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_gateway import errors, tokens


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_token_says_where_to_go_on(last):
    """Any name comes back, and the token needs no escaping in a URL."""
    token = tokens.encode(last)
    assert tokens.decode(token) == last
    assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("token", ["x", "!!!!", "é", "Mg", "MYA", "M f8", "eyJza2lwX3Bhc3QiOiI5OTMifQ"])
def test_other_tokens_are_refused(token):
    """What this API did not give is an error, never a wrong page."""
    with pytest.raises(errors.InvalidArgumentError):
        tokens.decode(token)
