"""What the driver brings to the core, and what it keeps from it."""

import asyncio
import errno

import pytest

from vectorfleet_shardnode.replication import driver, history, messages, protocol, sending

A, B, C = (messages.Member(name, f"disk-{name}", f"{name}:1") for name in "abc")
KNOWN = messages.Configuration(1, "b", (A, B, C), 2)


class Disk:
    """What was done, in its order; a test says what the log's committer would."""

    cuts = 0
    full = False

    def __init__(self):
        self.done = []

    def store(self, stored):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.done.append(("store", stored.promised))

    def append(self, entries):
        self.done.append(("append", len(entries)))

    def cut(self, after):
        self.cuts += 1
        self.done.append(("cut", after))


class Nowhere:
    """No other replicas: a follower calls none."""

    async def close(self):
        pass


@pytest.fixture
async def driven():
    """A follower at work whose log holds three records of epoch 1."""
    disk, log = Disk(), history.History().extended(1, 3)
    core = protocol.Replica(A, messages.Stored(1, KNOWN), log)
    identity = sending.Identity("shop", "g1", 0, {})
    made = driver.Driver(identity, core, disk, Nowhere())
    made.disk = disk
    await made.start()
    yield made
    await made.close()


async def settle(driven):
    """Wait until every event was carried out."""
    await asyncio.sleep(0)
    driven.done = asyncio.Event()
    driven._post(lambda: driven.done.set() or [])
    await driven.done.wait()


async def take(driven, previous, *epochs):
    """Bring records of epoch 2; returns the answer that is waited for."""
    given = messages.Append(2, history.Position(*previous), epochs)
    waiting = asyncio.ensure_future(driven.ask(lambda token: driven.core.append(token, given)))
    await settle(driven)
    return waiting


async def test_a_full_disk_is_waited_for(driven):
    """A promise that there is no room for is answered once there is; the replica takes part all the while."""
    driven.disk.full = True
    waiting = asyncio.ensure_future(driven.ask(lambda token: driven.core.seal(token, 2)))
    await asyncio.sleep(1.5 * driver.HEARTBEAT_SECONDS)
    assert (waiting.done(), driven.disk.done, driven.problem) == (False, [], "")
    driven.disk.full = False
    assert (await waiting).sealed
    assert driven.disk.done == [("store", 2)]


async def test_an_fsync_of_before_a_cut_says_nothing_of_what_came_behind_it(driven):
    """Its seq is that of records which are gone: those in their place are not on the disk by it."""
    driven.synced(3, 0)  # queued: the cut comes before anyone looks at it
    waiting = await take(driven, (1, 1), 2, 2)
    assert driven.disk.done == [("store", 2), ("cut", 1), ("append", 0)]
    driven.synced(3, 0)  # told late
    await settle(driven)
    assert driven.core.synced == 1
    assert not waiting.done()
    driven.synced(3, 1)
    await settle(driven)
    assert (await waiting).verified == 3


async def test_an_fsync_of_before_a_cut_does_not_hide_one_of_after_it(driven):
    """Though its seq is the greater one."""
    await take(driven, (1, 1), 2)
    driven.synced(9, 0)
    driven.synced(2, 1)
    await settle(driven)
    assert driven.core.synced == 2
