"""Whether one key's history is that of a register that does one thing at a time (Wing and Gong, 1993).

Every operation must seem to happen at one moment between its call and its answer. One that was never
answered may have happened at any moment after its call, or never.
"""

import math
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """A write of a value, or a read that saw one; `end` is infinite where no answer came."""

    start: float
    end: float
    is_write: bool
    value: Any


def is_linearizable(history, first=None):
    """Tell whether a history of one key, which begins with the value `first`, can be put into one order."""
    operations = sorted(_that_matter(history), key=lambda one: one[:2])
    answered = sum(1 << n for n, one in enumerate(operations) if one.end < math.inf)
    states, seen = [(0, first)], set()
    while states:
        state = states.pop()
        if state in seen:
            continue
        seen.add(state)
        done, value = state
        if done & answered == answered:
            return True
        states += _following(operations, done, value)
    return False


def _that_matter(history):
    """Leave out what may never have happened: reads without an answer, writes without one that nobody saw."""
    read = {one.value for one in history if not one.is_write and one.end < math.inf}
    return [one for one in history if one.end < math.inf or (one.is_write and one.value in read)]


def _following(operations, done, value):
    """Yield the states after each operation that may be the next: none ended before it was called.

    A read that sees the value that there is goes first: it changes nothing. A write that would leave others
    without the value that they saw, for good, is not tried.
    """
    first_end, writes, awaited, again = math.inf, [], False, False
    for n, one in enumerate(operations):
        if done >> n & 1:
            continue
        may_be_next = one.start <= first_end
        first_end = min(first_end, one.end)
        if one.is_write:
            again |= one.value == value
            if may_be_next:
                writes.append((done | 1 << n, one.value))
        elif one.value == value:
            if may_be_next:
                yield done | 1 << n, value
                return
            awaited = True
    if again or not awaited:
        yield from writes
