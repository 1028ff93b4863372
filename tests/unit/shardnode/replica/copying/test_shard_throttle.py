"""The pace at which segments are copied: no more in any span than it allows, and no waiting without need."""

import asyncio

import hypothesis
import pytest
from hypothesis import strategies

from vectorfleet_shardnode.api import replication_pb2
from vectorfleet_shardnode.replication import copying
from vectorfleet_shardnode.segments import manifest

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


def test_streams_that_share_it_are_together_at_its_pace():
    """Two that ask in turns wait for each other's pieces as for their own."""
    clock = Clock()
    throttle = copying.Throttle(PACE, clock)
    pauses = [throttle.pause_after(size) for size in (500, 500, 1_000, 1_000)]
    assert pauses == pytest.approx([0.5, 1.0, 2.0, 3.0])


def test_who_gives_keeps_the_pace_for_all_who_copy(held, monkeypatch):
    """Each file is read by a caller of its own that takes what it gets: the last waits for all before it."""
    taken = held.take()
    places = [
        (listed.name, file)
        for listed in manifest.parse(taken.manifest).segments
        for file in listed.described.files
    ]
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    async def read(source, place):
        request = replication_pb2.ReadFileRequest(checkpoint=taken.id, segment=place[0], file=place[1])
        return sum([len(chunk.data) async for chunk in source.read(request)])

    async def read_all():
        source = copying.Source(held, 1)
        return [await read(source, place) for place in places]

    monkeypatch.setattr(asyncio, "sleep", sleep)
    sizes = asyncio.run(read_all())
    assert len(sizes) > 3
    assert pauses[-1] == pytest.approx(sum(sizes), rel=0.1)
