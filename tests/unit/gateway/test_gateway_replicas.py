"""One shard with several replicas: who is asked, and what becomes of writes while the primary changes."""

import asyncio
import time

import pytest

from vectorfleet_gateway import errors
from vectorfleet_gateway.shards import replicas
from vectorfleet_shardnode.api import replication_pb2, shard_pb2

ADDRESSES = ["r0:7400", "r1:7400", "r2:7400"]


class Replica:
    """A replica that answers as the test says."""

    def __init__(self, number, group):
        self.number, self.group = number, group
        self.writes, self.reads = [], 0
        self.dead = self.hangs = self.damaged = False
        self.read_delay = 0.0

    async def _reach(self):
        if self.hangs:
            await asyncio.Event().wait()
        if self.dead:
            raise errors.UnavailableError(f"r{self.number} can't be reached")
        if self.damaged:
            raise errors.DataLossError("its files are damaged")

    async def write(self, request, seconds):
        await self._reach()
        if self.group.primary != self.number:
            raise errors.NotPrimaryError("not here", self.group.epoch, self.group.address())
        if self.group.lacks_quorum:
            raise errors.QuorumLostError("shard 0: quorum lost: too few answer")
        self.writes.append(request.write_id)
        if self.group.outcomes:
            raise self.group.outcomes.pop()
        position = shard_pb2.Position(shard=0, epoch=self.group.epoch, seq=len(self.writes))
        return shard_pb2.WriteReply(position=position, affected=1)

    async def search(self, request, seconds):
        self.reads += 1
        await self._reach()
        await asyncio.sleep(self.read_delay)
        if request.strong and self.group.primary != self.number:
            raise errors.NotPrimaryError("not here", self.group.epoch, self.group.address())
        return shard_pb2.SearchReply(position=shard_pb2.Position(shard=self.number))

    async def state(self, seconds):
        if self.dead or self.hangs or self.damaged:
            raise errors.UnavailableError("dead")
        leads = self.group.primary == self.number
        role = replication_pb2.PRIMARY if leads else replication_pb2.FOLLOWER
        acknowledges = leads and not self.group.lacks_quorum
        return replication_pb2.ReplicaState(
            role=role, acknowledges=acknowledges, promised=self.group.epoch, caught_up=True,
            configuration=replication_pb2.Configuration(epoch=self.group.epoch),
        )  # fmt: skip

    async def close(self):
        pass


class Group:
    """Three replicas and who is their primary."""

    def __init__(self):
        self.primary, self.epoch, self.outcomes = 0, 1, []
        self.lacks_quorum = False
        self.replicas = [Replica(number, self) for number in range(3)]

    def address(self):
        """Return where the primary listens."""
        return ADDRESSES[self.primary] if self.primary is not None else ""

    def promote(self, number):
        """Make another one the primary."""
        self.primary, self.epoch = number, self.epoch + 1


@pytest.fixture
async def group():
    """Three replicas behind one face, as `group.shard`."""
    made = Group()
    made.shard = replicas.ReplicatedShard(0, list(zip(ADDRESSES, made.replicas, strict=True)))
    yield made
    await made.shard.close()


async def test_a_write_that_meets_damage_waits_for_the_next_primary(group):
    """A primary that comes back with damaged data serves nothing: another one leads, and has the write."""
    group.replicas[0].damaged = True
    group.primary = None
    writing = asyncio.create_task(group.shard.write(a_write(), 5))
    await asyncio.sleep(0.05)
    assert not writing.done()
    group.promote(2)
    assert (await writing).affected == 1
    assert group.replicas[2].writes == [bytes(range(16))]


async def test_damage_to_the_only_replica_is_told_at_once():
    """There is nobody to wait for."""
    made = Group()
    made.replicas[0].damaged = True
    shard = replicas.ReplicatedShard(0, [(ADDRESSES[0], made.replicas[0])])
    with pytest.raises(errors.DataLossError):
        await asyncio.wait_for(shard.write(a_write(), 60), 30)
    await shard.close()


def a_write():
    """Return a write."""
    return shard_pb2.WriteRequest(namespace="n", delete=shard_pb2.Delete(all=True), write_id=bytes(range(16)))


async def test_a_write_that_hit_the_old_primary_goes_to_the_new_one(group):
    """It is told who that is, and the caller sees no error."""
    group.promote(2)
    reply = await group.shard.write(a_write(), 5)
    assert reply.position.epoch == 2
    assert [len(one.writes) for one in group.replicas] == [0, 0, 1]


async def test_a_write_is_sent_again_under_the_same_id(group):
    """Whatever became of the first try, the shard does it once."""
    group.outcomes = [errors.UnknownOutcomeError("maybe")]
    await group.shard.write(a_write(), 5)
    first, second = group.replicas[0].writes
    assert first == second
    assert len(first) == 16


async def test_a_write_waits_for_a_promotion(group):
    """A dead primary costs time, and no error where another one is promoted in it."""
    group.replicas[0].dead = True
    writing = asyncio.ensure_future(group.shard.write(a_write(), 10))
    await asyncio.sleep(0.05)
    group.promote(1)
    assert (await writing).position.epoch == 2


async def test_a_write_leaves_a_primary_that_hangs_once_there_is_another(group):
    """A primary that was cut off never refuses; the poll finds the next one."""
    group.replicas[0].hangs = True
    writing = asyncio.ensure_future(group.shard.write(a_write(), 20))
    await asyncio.sleep(0.05)
    group.promote(1)
    assert (await writing).position.epoch == 2


async def test_an_unknown_outcome_is_reported_as_unknown(group):
    """Time is up, and a try may have happened: that is neither success nor failure."""
    group.outcomes = [errors.UnknownOutcomeError("no quorum")] * 1000
    with pytest.raises(errors.UnknownOutcomeError, match="unknown"):
        await group.shard.write(a_write(), 0.3)


async def test_a_write_that_nobody_took_is_a_plain_failure(group):
    """Where every try was refused before anything was written, that is known."""
    group.primary = None
    with pytest.raises(errors.NotPrimaryError):
        await group.shard.write(a_write(), 0.3)


@pytest.fixture
def impatient(monkeypatch):
    """A failover is waited for a moment only."""
    monkeypatch.setattr(replicas, "QUORUM_SECONDS", 0.2)


async def test_a_lost_quorum_is_told_in_the_shards_words(group, impatient):
    """Nothing was written, and that is known: no unknown outcome, and long before the caller's time is up."""
    group.lacks_quorum = True
    with pytest.raises(errors.QuorumLostError, match="quorum lost") as refused:
        await asyncio.wait_for(group.shard.write(a_write(), 600), 60)
    assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "2"})


async def test_a_quorum_that_stays_lost_is_waited_for_once(group, monkeypatch):
    """Who comes later is refused by the first word of the shard; once it writes again, all is as before."""
    group.lacks_quorum = True
    with monkeypatch.context() as soon:
        soon.setattr(replicas, "QUORUM_SECONDS", 0.2)
        with pytest.raises(errors.QuorumLostError):
            await group.shard.write(a_write(), 600)
    monkeypatch.setattr(replicas, "QUORUM_SECONDS", 600)
    group.shard._lost_since -= 600
    with pytest.raises(errors.QuorumLostError):
        await asyncio.wait_for(group.shard.write(a_write(), 600), 60)
    group.lacks_quorum = False
    await group.shard.write(a_write(), 600)
    group.lacks_quorum = True
    writing = asyncio.ensure_future(group.shard.write(a_write(), 600))
    await asyncio.sleep(0.05)
    assert not writing.done()
    group.lacks_quorum = False
    assert (await asyncio.wait_for(writing, 60)).affected == 1


async def test_a_write_outlasts_a_quorum_that_comes_back(group):
    """By a failover, as by members that answer again, the caller sees no error."""
    group.lacks_quorum = True
    writing = asyncio.ensure_future(group.shard.write(a_write(), 60))
    await asyncio.sleep(0.05)
    assert not writing.done()
    group.promote(2)
    group.lacks_quorum = False
    assert (await writing).position.epoch == 2


async def test_a_quorum_lost_after_a_try_leaves_the_outcome_unknown(group, impatient):
    """The first try may have been written."""
    group.outcomes = [errors.QuorumLostError("quorum lost")] * 1000 + [errors.UnknownOutcomeError("maybe")]
    with pytest.raises(errors.UnknownOutcomeError, match="quorum lost"):
        await group.shard.write(a_write(), 1.0)


async def test_a_replica_without_a_quorum_is_read_from_first_as_before(group, impatient):
    """It answers; only writes it can't take."""
    group.lacks_quorum = True
    with pytest.raises(errors.QuorumLostError):
        await group.shard.write(a_write(), 60)
    reply = await group.shard.search(shard_pb2.SearchRequest(), 5)
    assert reply.position.shard == 0


async def test_a_read_goes_to_another_replica_where_one_is_dead(group):
    """Reads need no primary."""
    for number in (0, 1):
        group.replicas[number].dead = True
    reply = await group.shard.search(shard_pb2.SearchRequest(), 5)
    assert reply.position.shard == 2


async def test_a_replica_that_falls_silent_is_left_whatever_the_budget_says(group):
    """The budget is for answers that are late; a replica that answers no poll any more gives none."""
    group.shard._hedges._left = 0.0
    group.replicas[0].hangs = True
    reading = asyncio.ensure_future(group.shard.search(shard_pb2.SearchRequest(), 60))
    await asyncio.sleep(0.01)
    await group.shard._ask_all()
    reply = await asyncio.wait_for(reading, 10)
    assert reply.position.shard != 0


async def test_a_slow_replica_is_not_waited_for(group):
    """Another one is asked as well, and the first answer counts."""
    group.replicas[0].read_delay = 30
    reply = await group.shard.search(shard_pb2.SearchRequest(), 60)
    assert reply.position.shard != 0


async def test_a_slow_replica_is_not_asked_first_for_long(group):
    """It answers polls, and has no more to do than the others: it is its answers that are late."""
    group.replicas[0].read_delay = 0.1
    for _ in range(30):
        await group.shard.search(shard_pb2.SearchRequest(), 60)
    assert group.replicas[0].reads < 10


async def test_what_takes_long_by_itself_makes_no_replica_slow(group):
    """An exact search is slow wherever it is done."""
    group.replicas[0].read_delay = 0.05
    group.shard._hedges._left = 0.0
    exact = shard_pb2.SearchRequest(queries=[shard_pb2.Query(exact=True)])
    for _ in range(3):
        await group.shard.search(exact, 60)
    assert group.shard.known.readers(time.monotonic())[0] == 0


async def test_reads_may_be_stale_where_nobody_acknowledges(group):
    """No replica knows then what another primary may have acknowledged."""
    assert not group.shard.may_be_stale
    for lacks_quorum, primary in ((True, 0), (False, 0), (False, None), (False, 1)):
        group.lacks_quorum, group.primary = lacks_quorum, primary
        await group.shard._ask_all()
        assert group.shard.may_be_stale is (lacks_quorum or primary is None)
    group.replicas[1].dead = True
    await group.shard._ask_all()
    assert group.shard.may_be_stale


async def test_a_strong_read_goes_to_the_primary(group):
    """Only it can know what was acknowledged last."""
    group.promote(1)
    reply = await group.shard.search(shard_pb2.SearchRequest(strong=True), 5)
    assert reply.position.shard == 1


async def test_reads_are_spread(group):
    """The least busy replica is asked."""
    for one in group.replicas:
        one.read_delay = 0.02
    await asyncio.gather(*(group.shard.search(shard_pb2.SearchRequest(), 5) for _ in range(9)))
    assert [one.reads for one in group.replicas] == [3, 3, 3]
