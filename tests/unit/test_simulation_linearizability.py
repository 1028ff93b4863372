"""The judge of histories knows good ones from bad ones."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulation.linearizability import Operation, is_linearizable


def write(start, end, value):
    """Return a write."""
    return Operation(start, end, True, value)


def read(start, end, value):
    """Return a read that saw a value."""
    return Operation(start, end, False, value)


GOOD = {
    "nothing": [],
    "one after the other": [write(1, 2, "a"), read(3, 4, "a"), write(5, 6, "b"), read(7, 8, "b")],
    "a read beside a write sees either": [write(1, 4, "a"), read(2, 3, None), read(2, 3, "a")],
    "two writes at once, in either order": [write(1, 4, "a"), write(1, 4, "b"), read(5, 6, "a")],
    "an unanswered write that happened late": [write(1, math.inf, "a"), read(2, 3, None), read(8, 9, "a")],
    "an unanswered write that never happened": [write(1, math.inf, "a"), read(8, 9, None)],
    "a read without an answer": [write(1, 2, "a"), read(3, math.inf, None)],
    "the same value twice": [write(1, 2, "a"), write(3, 4, "b"), write(5, 6, "a"), read(7, 8, "a")],
}
BAD = {
    "a lost write": [write(1, 2, "a"), read(3, 4, None)],
    "a stale read": [write(1, 2, "a"), write(3, 4, "b"), read(5, 6, "a")],
    "a value from nowhere": [read(1, 2, "a")],
    "a value before its write": [read(1, 2, "a"), write(3, 4, "a")],
    "back in time": [write(1, 9, "a"), read(2, 3, "a"), read(4, 5, None)],
    "a write done twice": [write(1, 2, "a"), write(3, 4, "b"), read(5, 6, "b"), read(7, 8, "a")],
    "an unanswered write done twice": [
        write(1, math.inf, "a"),
        read(2, 3, "a"),
        write(4, 5, "b"),
        read(6, 7, "b"),
        read(8, 9, "a"),
    ],
    "two readers disagree on the order": [
        write(1, 9, "a"),
        write(1, 9, "b"),
        read(2, 3, "a"),
        read(4, 5, "b"),
        read(6, 7, "a"),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_good_histories(name):
    """Each can be put into one order."""
    assert is_linearizable(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_bad_histories(name):
    """None can."""
    assert not is_linearizable(BAD[name])


def by_trying_all_orders(history):
    """Say the same, slowly: some order of some subset respects time and values."""
    maybe = [n for n, one in enumerate(history) if one.end == math.inf]
    for left_out in itertools.chain.from_iterable(
        itertools.combinations(maybe, count) for count in range(len(maybe) + 1)
    ):
        kept = [one for n, one in enumerate(history) if n not in left_out]
        if any(is_right(order) for order in itertools.permutations(kept)):
            return True
    return False


def is_right(order):
    """Tell whether an order respects time, and all reads see the last write."""
    value = None
    for n, one in enumerate(order):
        if any(later.end < one.start for later in order[n:]) or (not one.is_write and one.value != value):
            return False
        value = one.value
    return True


OPERATIONS = st.builds(
    lambda start, length, is_write, value: Operation(start, start + length, is_write, value),
    st.integers(0, 8),
    st.sampled_from((0.5, 2.5, 5.5, math.inf)),
    st.booleans(),
    st.sampled_from(("a", "b", None)),
)


@given(st.lists(OPERATIONS, max_size=5))
def test_agrees_with_trying_all_orders(history):
    """The shortcuts of the search change nothing."""
    assert is_linearizable(history) == by_trying_all_orders(history)
