"""The cache of answers with a clock and positions in the test's hand."""

import asyncio

import pytest

from vectorfleet_gateway import errors
from vectorfleet_gateway.caching import cache, positions
from vectorfleet_shardnode.api import config


class World:
    """A clock, shards that stand somewhere, and a cache over both."""

    def __init__(self, *, replicated=False, **settings):
        self.time = 100.0
        self.at = {0: (1, 5), 1: (1, 7)}
        self.asked = 0
        self.failure = None
        settled = config.ResultCache(**{"max_bytes": 2**20} | settings)
        self.cache = cache.ResultCache(
            settled, positions.Positions(self.ask), replicated=replicated, clock=lambda: self.time
        )

    async def ask(self, seconds):
        self.asked += 1
        if self.failure:
            raise self.failure
        return dict(self.at)

    def put(self, body=b"{}", key=b"k"):
        self.cache.put(key, body, dict(self.at), self.time)

    async def find(self, key=b"k"):
        found = await self.cache.find(key, 1.0)
        return found and found.body


async def test_an_answer_holds_while_the_shards_stand_still():
    """Each time the shards are asked; one that moved ends it, and so does one that can't be asked."""
    world = World()
    assert await world.find() is None
    world.put()
    assert (await world.find(), await world.find(), world.asked) == (b"{}", b"{}", 2)
    world.at[1] = (1, 8)
    assert await world.find() is None
    world.put()
    world.failure = errors.UnavailableError("gone")
    assert await world.find() is None


async def test_a_new_epoch_is_another_position():
    """After a failover the same seq may be another write."""
    world = World()
    world.put()
    world.at[0] = (2, 5)
    assert await world.find() is None


async def test_an_answer_ages():
    """After its time it is made anew, though nothing was written."""
    world = World(max_age_seconds=10)
    world.put()
    world.time += 9
    assert await world.find() == b"{}"
    world.time += 2
    assert await world.find() is None


async def test_stale_answers_as_long_as_allowed():
    """Within that time nobody is asked; then they are, and the time begins anew."""
    world = World(max_stale_seconds=3)
    world.put()
    world.time += 2
    assert (await world.find(), world.asked) == (b"{}", 0)
    world.time += 2
    assert (await world.find(), world.asked) == (b"{}", 1)
    world.time += 2
    assert (await world.find(), world.asked) == (b"{}", 1)
    world.at[0] = (1, 6)
    world.time += 2
    assert await world.find() is None


async def test_a_write_that_was_seen_ends_a_stale_answer():
    """Whoever writes through this gateway reads it at once; an answer from before the write is not kept."""
    world = World(max_stale_seconds=60)
    world.put()
    world.cache.saw({0: (1, 6)})
    assert await world.find() is None
    world.put()
    assert await world.find() is None
    world.cache.saw({0: (1, 2)})
    world.at[0] = (1, 6)
    world.put()
    assert await world.find() == b"{}"


async def test_a_search_of_one_replica_confirms_nothing():
    """It may lag: the primary is asked before its answer is given again, and from then on the time counts."""
    world = World(replicated=True, max_stale_seconds=60)
    world.put()
    assert (await world.find(), world.asked) == (b"{}", 1)
    assert (await world.find(), world.asked) == (b"{}", 1)
    world.put(key=b"old")
    world.at[0] = (1, 6)
    assert await world.find(b"old") is None


async def test_who_does_not_say_is_left_alone_for_a_while():
    """Where a shard has no primary, answers are searched for at once, and kept for when it has one again."""
    world = World()
    world.put()
    world.failure = errors.UnavailableError("no primary")
    assert (await world.find(), await world.find(), world.asked) == (None, None, 1)
    world.failure = None
    world.time += cache.SILENCE_SECONDS + 1
    assert (await world.find(), world.asked) == (b"{}", 2)


async def test_nobody_waits_long_for_who_does_not_say(monkeypatch):
    """A second at most, however long the query may take: the search needs time too."""
    world = World()
    world.put()
    monkeypatch.setattr(cache, "CONFIRM_SECONDS", 0.01)
    monkeypatch.setattr(world.cache, "_shards", positions.Positions(lambda _: asyncio.sleep(60)))
    async with asyncio.timeout(5):
        assert await world.cache.find(b"k", 30.0) is None


async def test_memory_is_bounded():
    """The least recently used go; what is above the bound is not kept."""
    world = World()
    for number in range(20):
        world.put(b"x" * 100_000, b"%d" % number)
    assert await world.find(b"0") is None
    assert await world.find(b"19") is not None
    world.put(b"x" * 2**20, b"huge")
    assert await world.find(b"huge") is None


async def test_who_asks_at_the_same_time_asks_once():
    """Those who come while the shards are asked share the next time, and not the one under way."""
    gate, calls = asyncio.Event(), []

    async def ask(seconds):
        calls.append(seconds)
        await gate.wait()
        return {0: (1, len(calls))}

    shards = positions.Positions(ask)
    first = asyncio.create_task(shards.now(1))
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(shards.now(1)) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert len(calls) == 1
    gate.set()
    await asyncio.gather(first, *later)
    assert len(calls) == 2
    assert {task.result()[0] for task in later} == {(1, 2)}


async def test_who_gives_up_does_not_end_it_for_others():
    """A cancelled caller leaves the rest waiting."""
    gate = asyncio.Event()

    async def ask(seconds):
        await gate.wait()
        return {0: (1, 1)}

    shards = positions.Positions(ask)
    gone, stays = (asyncio.create_task(shards.now(1)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    gate.set()
    assert await stays == {0: (1, 1)}
