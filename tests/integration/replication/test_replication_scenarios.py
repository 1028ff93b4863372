"""The scenarios of one shard's replicas, each by itself."""

import signal
import threading
import time

import grpc
import pytest
from replicated import changes, router
from replicated.asking import ids_of, level, upsert, write

from vectorfleet_shardnode.api import replication_pb2 as rpb
from vectorfleet_shardnode.api import shard_pb2 as pb
from vectorfleet_shardnode.replication import gate, replica


def test_a_write_is_on_every_replica(make_group):
    """It is answered once two of three have it, and the third one has it soon after."""
    group = make_group()
    reply = write(group, 0, 5)
    assert reply.affected == 5
    level(group)
    assert [ids_of(stub) for stub in group.stubs] == [{f"row-{n}" for n in range(5)}] * 3


def test_writes_and_strong_reads_are_the_primarys(make_group):
    """A follower says who it is, and its own reads go on."""
    group = make_group()
    write(group, 0)
    for stub in group.stubs[1:]:
        for call in (lambda s: s.Write(upsert(1)), lambda s: ids_of(s, strong=True)):
            with pytest.raises(grpc.RpcError) as refused:
                call(stub)
            assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            told = dict(refused.value.trailing_metadata())
            assert told["vectorfleet-primary"].startswith("r0.")
            assert told["vectorfleet-epoch"] == "1"
    assert ids_of(group.stubs[0], strong=True) == {"row-0"}


def test_a_read_that_demands_a_write_sees_it_on_any_replica(make_group):
    """The replica waits for it; a position that nobody has yet is refused after a little while."""
    group = make_group()
    for number in range(20):
        position = write(group, number).position
        for stub in group.stubs:
            assert f"row-{number}" in ids_of(stub, at_least=position)
    position.seq += 1000
    with pytest.raises(grpc.RpcError) as refused:
        ids_of(group.stubs[1], at_least=position)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_r10_no_operator_is_needed_to_write(make_group):
    """Nobody changes the configuration; restarts of any process, the primary's too, are survived."""
    group = make_group()
    for number in range(3):
        write(group, number)
        group.replicas[number].end()
        group.replicas[number].start()
    write(group, 3)
    level(group)
    assert ids_of(group.stubs[1]) == {f"row-{n}" for n in range(4)}
    assert group.operator.register.configuration.epoch == 1


def test_r11_a_primary_without_followers_acknowledges_nothing(make_group):
    """The other side promotes; what the old one took alone is cut when it comes back."""
    group = make_group()
    write(group, 0)
    level(group)
    group.isolate(0)
    with pytest.raises(grpc.RpcError) as refused:
        group.stubs[0].Write(upsert(666), timeout=2)
    assert refused.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
    group.replicas[0].stop()  # the operator can't reach it either
    assert group.operator.change(range(3)) != 0
    write(group, 1)
    group.replicas[0].go_on()
    with pytest.raises(grpc.RpcError):
        group.stubs[0].Write(upsert(667), timeout=2)
    group.network.heal()
    group.operator.tell()
    level(group)
    assert [ids_of(stub) for stub in group.stubs] == [{"row-0", "row-1"}] * 3


def test_r12_flapping_links_settle(make_group):
    """Cut and slow ways that come and go cost time; afterwards all are level under few epochs."""
    group = make_group()
    ending = threading.Event()
    keeping = threading.Thread(target=group.operator.keep, args=(ending,))
    keeping.start()
    try:
        for number in range(8):
            group.isolate(number % 3, *(("requests",), ("replies",), ())[number % 3])
            time.sleep(0.15)
            group.network.heal()
            for link in group.network.links.values():
                link.delay = 0.075 if number % 2 else 0.0
            write(group, number)
        group.network.heal()
        level(group)
    finally:
        ending.set()
        keeping.join()
    assert ids_of(group.stubs[2]) == {f"row-{n}" for n in range(8)}
    assert group.operator.register.configuration.epoch <= 9


def test_r13_a_primary_that_was_stopped_and_goes_on_acknowledges_nothing(make_group):
    """It does not know how long it was away: followers that promised another epoch tell it."""
    group = make_group()
    write(group, 0)
    group.replicas[0].stop()
    winner = group.operator.change(range(3))
    write(group, 1)
    group.replicas[0].go_on()
    with pytest.raises(grpc.RpcError):
        group.stubs[0].Write(upsert(666), timeout=3)
    with pytest.raises(grpc.RpcError):
        ids_of(group.stubs[0], strong=True)
    group.operator.tell()
    level(group)
    assert winner != 0
    assert ids_of(group.stubs[0]) == {"row-0", "row-1"}


def test_a_primary_whom_the_others_have_left_says_that_it_acknowledges_nothing(make_group):
    """It was away, and who took its place is stopped: those that answer it wait for another primary."""
    group = make_group()
    write(group, 0)
    level(group)
    group.replicas[0].end()
    winner = group.operator.change(range(3))
    group.replicas[winner].stop()
    group.replicas[0].start()
    group.wait_for(lambda: group.state(0) and group.state(0).role == rpb.PRIMARY)
    group.wait_for(lambda: not group.state(0).acknowledges)
    with pytest.raises(grpc.RpcError) as refused:
        group.stubs[0].Write(upsert(666), timeout=2)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert group.operator.change(range(3)) not in (0, winner)
    write(group, 1)


def test_r15_a_slow_replica_slows_nobody(make_group):
    """Two of three are enough; the third one catches up from the log when it can."""
    group = make_group()
    write(group, 0)
    group.replicas[2].stop()
    began = time.monotonic()
    for number in range(1, 60):
        write(group, number)
    assert time.monotonic() - began < 20
    group.replicas[2].go_on()
    level(group)
    assert len(ids_of(group.stubs[2])) == 60


def test_r26_what_was_deleted_while_a_replica_was_away_stays_deleted(make_group):
    """It comes back with old rows, and they go; on a restart too."""
    group = make_group()
    write(group, 0, 10)
    level(group)
    group.replicas[1].end()
    delete = pb.Delete(ids=pb.Ids(ids=[f"row-{n}" for n in range(5)]))
    router.Router(group.stubs, threading.Event()).Write(pb.WriteRequest(namespace="n", delete=delete))
    for _ in range(2):
        group.replicas[1].start()
        level(group)
        assert ids_of(group.stubs[1]) == {f"row-{n}" for n in range(5, 10)}
        group.replicas[1].end()


def test_r27_a_write_that_is_sent_again_is_done_once(make_group):
    """To the same primary, to the next one, and after restarts: the answer is the first one's."""
    group = make_group()
    write_id = bytes(range(16))
    first = group.stubs[0].Write(upsert(0, 3, write_id))
    second = group.stubs[0].Write(upsert(0, 3, write_id))
    assert (first.position, first.affected) == (second.position, second.affected)
    delete = pb.Delete(ids=pb.Ids(ids=["row-1"]))
    router.Router(group.stubs, threading.Event()).Write(pb.WriteRequest(namespace="n", delete=delete))
    group.replicas[0].end()
    winner = group.operator.change(range(3))
    again = group.stubs[winner].Write(upsert(0, 3, write_id))
    assert (again.position.seq, again.affected) == (first.position.seq, 3)
    assert ids_of(group.stubs[winner]) == {"row-0", "row-2"}


def test_r19_a_planned_handover_loses_no_write_and_takes_no_time(make_group):
    """Clients write on; the longest wait is far below the three seconds that are allowed."""
    group = make_group()
    stopping, routers = threading.Event(), [None, None]

    def work(number):
        routers[number] = router.Router(group.stubs, stopping)
        for row in range(10_000):
            if stopping.is_set():
                return
            routers[number].Write(upsert(10_000 * number + row))

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for primary in (1, 2, 0):
        time.sleep(0.3)
        assert group.operator.change(range(3), primary=primary) is not None
    time.sleep(0.3)
    stopping.set()
    for thread in threads:
        thread.join()
    level(group)
    written = sum(one.writes for one in routers)
    assert len(ids_of(group.stubs[0])) >= written - 2
    assert max(max(one.gaps) for one in routers) < 3


def test_r19_sigterm_hands_over_first(make_group):
    """A primary that is told to end serves until its place is taken, and says so."""
    group = make_group()
    write(group, 0)
    group.replicas[0].kill(signal.SIGTERM)
    group.wait_for(lambda: group.state(0) and group.state(0).leaving)
    write(group, 1)
    assert group.primary() == 0
    assert group.operator.change(range(3), primary=1) == 1
    group.wait_for(lambda: not group.replicas[0].runs)
    write(group, 2)


def test_a_primary_that_is_left_alone_does_not_wait_for_a_successor(make_group):
    """When all are told to end, followers do so at once; nobody is left to take over from the primary."""
    group = make_group()
    write(group, 0)
    for one in group.replicas:
        one.kill(signal.SIGTERM)
    group.wait_for(lambda: not any(one.runs for one in group.replicas), replica.LEAVE_SECONDS - 5)


def test_a_quorum_that_is_lost_refuses_writes_and_reads_on(make_group):
    """The reason is said; reads go on; when one comes back writes do, with no operator."""
    group = make_group()
    write(group, 0)
    level(group)
    for number in (1, 2):
        group.replicas[number].end()
    group.wait_for(lambda: not group.state(0).acknowledges)
    with pytest.raises(grpc.RpcError) as refused:
        group.stubs[0].Write(upsert(1))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "quorum lost" in refused.value.details()
    assert ("vectorfleet-refused", "quorum") in refused.value.trailing_metadata()
    assert ids_of(group.stubs[0]) == {"row-0"}
    group.replicas[2].start()
    group.wait_for(lambda: group.state(0).acknowledges)
    write(group, 2)


def test_every_member_may_be_asked_for(make_group):
    """With a write quorum of three, one that is away holds up writes."""
    group = make_group()
    group.operator.change(range(3), write_quorum=3)
    write(group, 0)
    group.replicas[2].end()
    with pytest.raises(grpc.RpcError):
        group.stubs[group.primary() or 0].Write(upsert(1), timeout=2)
    group.replicas[2].start()
    write(group, 2)


def test_members_join_and_leave(make_group):
    """A new replica is shipped the log first, counts once it has it, and the group shrinks again."""
    group = make_group(begin=False)
    assert group.state(1).role == rpb.NEW
    group.operator.begin([0])
    group.wait_for(lambda: group.primary() == 0)
    write(group, 0, 10)
    group.operator.tell(learners=[1, 2])
    level(group)
    assert group.state(1).role == rpb.LEARNER
    group.operator.change([0, 1, 2])
    write(group, 10)
    level(group)
    group.replicas[0].end()
    group.operator.change([1, 2])
    write(group, 11)
    group.operator.change([2], primary=2)
    write(group, 12)
    assert len(ids_of(group.stubs[2])) == 13


def test_a_shard_that_begins_must_be_empty(make_group):
    """A replica that holds anything is no new one: nothing is begun over it."""
    group = make_group()
    write(group, 0)
    second = changes.Operator(group)
    second.register.reserved = 5
    with pytest.raises(changes.ChangeFailedError, match="were sealed"):
        second.begin()
    group.operator.register.reserved = 20
    group.operator.change(range(3))
    write(group, 1)


def test_one_replica_alone_needs_no_answers(make_group):
    """A shard of one replica that was idle for longer than a quorum may be silent takes writes."""
    group = make_group(1)
    write(group, 0)
    time.sleep(gate.QUORUM_SECONDS + 1)
    state = group.stubs[0].State(rpb.StateRequest())
    assert (state.acknowledges, state.quorum_silence_seconds) == (True, 0.0)
    write(group, 1)
