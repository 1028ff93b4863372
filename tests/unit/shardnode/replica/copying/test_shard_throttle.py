"""The pace at which segments are copied: no more in any span than it allows, and no waiting without need."""

import hypothesis
import pytest
from hypothesis import strategies

from vectorfleet_shardnode.replication import copying

PACE = 1_000


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@hypothesis.given(
    strategies.lists(strategies.tuples(strategies.integers(0, 5_000), strategies.floats(0, 10)), max_size=30)
)
def test_no_span_has_more_than_its_pace(pieces):
    """Pieces come after delays of their own: what follows behind any of them takes as long as it must."""
    clock = Clock()
    throttle = copying.Throttle(PACE, clock)
    begun, came = [], []
    for size, delay in pieces:
        clock.now += delay  # of the network, before the piece
        begun.append(clock.now)
        came.append(size)
        clock.now += throttle.pause_after(size)
        for first, since in enumerate(begun):
            assert sum(came[first + 1 :]) / PACE <= clock.now - since + 1e-6


def test_a_stream_slower_than_its_pace_is_not_held_up():
    """What the network took counts: 500 bytes each second are half of the pace."""
    clock = Clock()
    throttle = copying.Throttle(PACE, clock)
    for _ in range(10):
        clock.now += 1.0
        assert throttle.pause_after(500) == pytest.approx(0)


def test_what_was_not_used_is_lost():
    """An hour without a piece does not let the next ones through in a burst."""
    clock = Clock()
    throttle = copying.Throttle(PACE, clock)
    clock.now += 3_600
    assert throttle.pause_after(1_000) == pytest.approx(0)
    assert throttle.pause_after(2_000) == pytest.approx(2.0)
    clock.now += 2.0
    assert throttle.pause_after(1_000) == pytest.approx(1.0)
