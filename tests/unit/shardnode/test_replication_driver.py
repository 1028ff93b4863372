"""What the driver brings to the core, and what it keeps from it."""

import asyncio
import errno

import pytest

from vectorfleet_shardnode.api import replication_pb2
from vectorfleet_shardnode.replication import driver, history, messages, protocol, sending

A, B, C = (messages.Member(name, f"disk-{name}", f"{name}:1") for name in "abc")
KNOWN = messages.Configuration(1, "b", (A, B, C), 2)


class Disk:
    """What was done, in its order; a test says what the log's committer would."""

    cuts = 0
    full = syncing = False

    def __init__(self):
        self.done = []

    def store(self, stored):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.done.append(("store", stored.promised))

    def append(self, entries):
        self.done.append(("append", len(entries)))

    def lead(self, epoch, *, resumes):
        return 3 if resumes else 4

    def follow(self):
        return 3

    def commit(self, seq):
        self.done.append(("commit", seq))

    def read_recent(self, first, upto, most_bytes):
        return [replication_pb2.Entry(seq=seq) for seq in range(first, upto + 1)]

    def cut(self, after):
        self.cuts += 1
        self.done.append(("cut", after))


class Nowhere:
    """No other replicas: a follower calls none."""

    async def close(self):
        pass


class Followers(Nowhere):
    """Replicas that hold whatever a primary sends, at once."""

    def __init__(self):
        self.sent = []  # (seqs, commit index) of each message

    async def append(self, address, request):
        self.sent.append(([entry.seq for entry in request.entries], request.committed))
        return replication_pb2.AppendReply(
            promised=request.epoch,
            matched=True,
            verified=request.previous.seq + len(request.entries),
        )


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


@pytest.fixture
async def leading(monkeypatch):
    """A primary that resumes, its log of three records committed and told, without heartbeats."""
    monkeypatch.setattr(driver, "HEARTBEAT_SECONDS", 1e6)
    disk, log, ways = Disk(), history.History().extended(1, 3), Followers()
    core = protocol.Replica(B, messages.Stored(1, KNOWN), log)
    made = driver.Driver(sending.Identity("shop", "g1", 0, {}), core, disk, ways)
    made.disk, made.ways = disk, ways
    await made.start()
    await until(lambda: core.term and all(one.told == 3 and not one.busy for one in core.term.peers.values()))
    ways.sent.clear()
    yield made
    await made.close()


async def until(what):
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.001)


async def test_followers_are_told_of_a_commit_that_nothing_follows(leading):
    """Soon after it, by a message of its own: readers of theirs wait for it."""
    leading.synced(4, 0)
    await until(lambda: len(leading.ways.sent) == 4)
    assert sorted(leading.ways.sent) == [([], 4), ([], 4), ([4], 3), ([4], 3)]


async def test_a_commit_is_told_with_the_next_record_where_one_is_being_written(leading):
    """A message of its own would keep that record from being shipped until it is answered."""
    leading.disk.syncing = True
    leading.synced(4, 0)
    await until(lambda: leading.core.committed == 4)
    await asyncio.sleep(3 * driver._TELL_SECONDS)
    leading.synced(5, 0)
    await until(lambda: leading.core.committed == 5)
    assert sorted(leading.ways.sent) == [([4], 3), ([4], 3), ([5], 4), ([5], 4)]


async def test_commits_that_follow_each_other_quickly_are_not_told_in_between(leading, monkeypatch):
    """Each takes up the telling of the one before, which the next record brings as well."""
    monkeypatch.setattr(driver, "_TELL_SECONDS", 1e6)
    for seq in range(4, 8):
        leading.synced(seq, 0)
        await until(lambda seq=seq: leading.core.committed == seq)
    told = leading._telling
    assert not told.cancelled()
    leading.synced(8, 0)
    await until(lambda: leading.core.committed == 8)
    assert told.cancelled()


async def leaves(driven, monkeypatch):
    """Tell a replica to stop; returns the wait, once it has had some heartbeats to end in."""
    monkeypatch.setattr(driver, "HEARTBEAT_SECONDS", 0.001)
    leaving = asyncio.ensure_future(driven.leave(30))
    await asyncio.sleep(0.02)
    return leaving


async def test_a_primary_that_is_told_to_stop_stays_while_it_has_a_quorum(leading, monkeypatch):
    """And says so: it is relieved by the operator."""
    leaving = await leaves(leading, monkeypatch)
    assert (leaving.done(), leading.leaving) == (False, True)
    leaving.cancel()


async def test_a_primary_without_a_quorum_expects_no_successor(leading, monkeypatch):
    """Nothing is acknowledged there, and where all end at once, nobody comes to take over."""
    monkeypatch.setattr(driver, "_ALONE_SECONDS", 0.0)
    await (await leaves(leading, monkeypatch))
    assert leading.core.term is not None


async def test_a_replica_that_was_sealed_stays_until_the_next_primary_is_in_office(leading, monkeypatch):
    """The next one may need it, so that enough members hold its log; its office is known by its epoch."""
    await leading.ask(lambda token: leading.core.seal(token, 2))
    assert leading.core.term is None
    leaving = await leaves(leading, monkeypatch)
    assert not leaving.done()
    await leading.ask(
        lambda token: leading.core.configure(token, messages.Configuration(2, "a", (A, B, C), 2), ())
    )
    await leaving


async def test_a_replica_that_was_sealed_for_a_change_that_failed_leaves_all_the_same(leading, monkeypatch):
    """After a while, by the clock of this process."""
    monkeypatch.setattr(driver, "_ALONE_SECONDS", 0.0)
    await leading.ask(lambda token: leading.core.seal(token, 2))
    await (await leaves(leading, monkeypatch))
    assert leading.core.promised == 2


async def test_a_follower_that_is_told_to_stop_leaves_at_once(driven, monkeypatch):
    """Where it knows of whom it follows."""
    await (await leaves(driven, monkeypatch))
    assert driven.leaving
