"""A shard that leads or follows: what is seen, taken over, cut, and told."""

import errno
from unittest import mock

import numpy as np
import pytest
from fixtures import builders, replicas
from fixtures.replicas import BOTH, ids_of, leading, settle, ship, upsert

from vectorfleet_shardnode import digests, errors, filters, keys, operations, outset, records, states, storage
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.log import log_format
from vectorfleet_shardnode.segments import manifest, part


def test_a_write_is_seen_and_told_once_it_is_committed(replica):
    """Being on the disk is not enough; reads, counts and the future wait for the commit index."""
    leader = leading(replica())
    done = upsert(leader, "a")
    later = upsert(leader, "b")
    nothing = leader.shard.write(operations.DeleteIds("", ["nobody"]))
    settle(leader)
    assert (done.done(), nothing.done(), ids_of(leader)) == (False, False, [])
    assert leader.shard.commit(2) == 2
    assert done.result(0) == states.Written(2, 1, 1)
    assert (later.done(), nothing.done(), ids_of(leader)) == (False, False, ["a"])
    leader.shard.commit(3)
    assert later.result(0) == states.Written(3, 1, 1)
    assert nothing.result(0) == states.Written(3, 0, 1)


def test_a_follower_applies_what_is_committed(replica):
    """What it only holds is in no reader's sight; its own disk bounds what it shows."""
    leader, follower = leading(replica("a")), replica("b")
    upsert(leader, "a", "b")
    upsert(leader, "c")
    ship(leader, follower)
    assert (follower.shard.log.last, ids_of(follower)) == ((1, 3), [])
    assert follower.shard.commit(2) == 2
    assert ids_of(follower) == ["a", "b"]
    assert follower.shard.commit(9) == 3
    assert ids_of(follower) == ["a", "b", "c"]
    with pytest.raises(errors.NotPrimaryError):
        upsert(follower, "d")


def test_what_was_never_committed_leaves_no_trace(replica, tmp_path):
    """Rows written behind what readers see are not found, counted, searched, filtered or flushed after it."""
    served = leading(replica())
    upsert(served, "a", "b", x=1)
    served.shard.commit(settle(served))
    waiting = [upsert(served, "a", "new", x=9)]
    waiting.append(served.shard.write(operations.DeleteIds("", ["b"])))
    settle(served)
    assert served.shard.follow() == (1, 4)
    for done in waiting:
        with pytest.raises(errors.UnknownOutcomeError, match="send it again with the same id"):
            done.result(0)
    for _ in range(3):
        state = served.shard.snapshot
        assert ids_of(served) == ["a", "b"]
        assert state.count(None) == {"": 2}
        assert state.count(filters.parse(b'{"n": 1}')) == {"": 2}
        found = state.take(state.locate(keys.keys_of("", ["a", "b", "new"])), BOTH)
        assert found.ids == ["a", "b"]
        assert found.vectors.tolist() == [[1, 1], [1, 2]]
        [(_, place)] = state.search(part.Question("", np.array([[9, 1]], np.float32), 9, None, 9, exact=True))
        assert len(place.rows) == 2
        assert [
            view.texts("t", config.Language.ENGLISH).lengths.shape for view in state.parts if view.live_rows
        ] == [(2,)]
        served.shard.freeze()
        served.maintenance.step()
    assert [view.segment.rows for view in served.shard.snapshot.sealed] == [2]
    assert manifest.read(tmp_path / "a", served.replica.disk).durable_seq == 2


def test_what_was_not_committed_counts_after_all(replica):
    """Told to follow in between, the records are still in the log; committed later, they are applied."""
    served = leading(replica())
    upsert(served, "a", "b", x=1)
    served.shard.commit(2)
    upsert(served, "a", "c", x=9)
    last = settle(served)
    served.shard.follow()
    served.shard.commit(last)
    assert ids_of(served) == ["a", "b", "c"]
    found = served.shard.snapshot.take(served.shard.snapshot.locate(keys.keys_of("", ["a"])), BOTH)
    assert found.vectors.tolist() == [[9, 1]]


def test_another_primarys_records_take_the_place_of_a_tail(replica):
    """Cut, appended, committed: the old primary has the new one's rows, and the same digest."""
    old, new = leading(replica("a")), replica("b")
    upsert(old, "a")
    ship(old, new)
    lost = upsert(old, "lost")
    settle(old)
    leading(new, 2)
    upsert(new, "won")
    new.shard.commit(settle(new))
    old.replica.promise(2)
    old.shard.follow()
    with pytest.raises(errors.UnknownOutcomeError):
        lost.result(0)
    old.shard.cut_after(2)
    ship(new, old)
    old.shard.commit(new.shard.committed)
    assert ids_of(old) == ids_of(new) == ["a", "won"]
    assert digests.of(old.shard.snapshot) == digests.of(new.shard.snapshot)
    assert old.shard.log.history() == new.shard.log.history() == ([(0, 0), (1, 1), (2, 3)], (2, 4))


def test_who_takes_over_plans_on_all_of_its_log(replica):
    """Records that were not committed before are committed with the start record behind them."""
    old, new = leading(replica("a")), replica("b")
    upsert(old, "a")
    old.shard.commit(2)
    upsert(old, "b")
    ship(old, new)
    new.shard.commit(2)
    leading(new, 2)
    assert ids_of(new) == ["a"]
    done = new.shard.write(operations.DeleteIds("", ["a", "b"]))
    settle(new)
    assert not done.done()
    new.shard.commit(5)
    assert done.result(0) == states.Written(5, 2, 2)
    assert ids_of(new) == []


def test_a_primary_goes_on_in_its_epoch_after_a_restart(replica):
    """Without a second start record; what it had not committed is there, and seen once it is."""
    served = leading(replica())
    upsert(served, "a")
    served.shard.commit(2)
    upsert(served, "b")
    served.close()
    again = replica()
    assert ids_of(again) == ["a"]
    assert again.shard.lead(1, resumes=True) == (1, 3)
    upsert(again, "c")
    again.shard.commit(settle(again))
    assert ids_of(again) == ["a", "b", "c"]
    assert again.shard.log.last == (1, 4)


def write_id(number):
    """Return a write id."""
    return number.to_bytes(16, "big")


def test_a_write_that_comes_again_is_not_done_twice(replica):
    """Waiting, committed, after a restart and on the replica that took over: one record, one answer."""
    old, new = leading(replica("a")), replica("b")
    first = upsert(old, "a", "b", write_id=write_id(1))
    again = upsert(old, "a", "b", write_id=write_id(1))
    settle(old)
    assert (first.done(), again.done()) == (False, False)
    old.shard.commit(2)
    third = upsert(old, "a", "b", write_id=write_id(1))
    assert first.result(0) == again.result(0) == third.result(0) == states.Written(2, 2, 1)
    ship(old, new)
    leading(new, 2)
    repeated = upsert(new, "a", "b", write_id=write_id(1))
    assert not repeated.done()
    new.shard.commit(3)
    assert repeated.result(0) == states.Written(2, 2, 1)
    new.close()
    reopened = replica("b")
    reopened.shard.lead(2, resumes=True)
    assert upsert(reopened, "x", write_id=write_id(1)).result(0) == states.Written(2, 2, 1)
    assert reopened.shard.log.last == (2, 3)


def test_alone_a_write_that_comes_again_is_not_done_twice(tmp_path):
    """Nor where there are no other replicas; after a restart neither, and after its rows were sealed."""
    for _ in range(2):
        served = storage.open_shard(replicas.INDEX, 0, tmp_path, replicas.TUNING, builders.Built)
        assert upsert(served, "a", write_id=write_id(1)).result(5) == states.Written(1, 1, 1)
        upsert(served, *"bcdefghi", write_id=write_id(2)).result(5)
        for _ in range(5):
            served.maintenance.step()
        assert served.shard.log.last_seq == 2
        served.close()


def test_mistakes_are_refused(replica):
    """What the protocol never does is an error, and changes nothing."""
    served = replica()
    with pytest.raises(errors.ShardError, match="0 is promised"):
        served.shard.lead(1)
    served.replica.promise(3)
    with pytest.raises(errors.ShardError, match="can't lead epoch 2"):
        served.shard.lead(2)
    with pytest.raises(errors.ShardError, match="records of epoch 4 came, but 3 is promised"):
        served.shard.append_entries([log_format.Entry(4, 1, records.Op.START, b"")])
    served.shard.append_entries([log_format.Entry(3, at, records.Op.START, b"") for at in (1, 2, 3)])
    settle(served)
    served.shard.commit(2)
    with pytest.raises(errors.ShardError, match="seq 2 is committed"):
        served.shard.cut_after(1)
    assert served.replica.state.cut_after is None
    with pytest.raises(errors.ShardError, match="can't lead epoch 3"):
        served.shard.lead(3)
    served.shard.lead(3, resumes=True)
    for refused in (lambda: served.shard.append_entries([]), lambda: served.shard.cut_after(3)):
        with pytest.raises(errors.ShardError, match="leads epoch 3"):
            refused()


def test_a_cut_whose_end_could_not_be_noted_is_not_done_again(replica, monkeypatch):
    """The disk was full: the next call notes it, so that no start cuts what was appended since."""
    served = replica()
    served.replica.promise(1)
    served.shard.append_entries([log_format.Entry(1, at, records.Op.START, b"") for at in (1, 2, 3)])
    settle(served)
    with monkeypatch.context() as full:
        full.setattr(served.replica, "end_cut", mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left")))
        with pytest.raises(OSError, match="No space left"):
            served.shard.cut_after(1)
    assert served.replica.state.cut_after == 1
    served.shard.cut_after(1)
    assert served.replica.state.cut_after is None
    assert served.shard.log.last_seq == 1


def test_whoever_drives_it_is_told_what_is_durable_and_of_which_log(replica):
    """With the count of cuts, so that word of records that are gone is known for what it is."""
    served, heard = replica(), []
    served.replica.promise(1)
    served.shard.listen(outset.Listener(durable=lambda *told: heard.append(told)))
    served.shard.append_entries([log_format.Entry(1, at, records.Op.START, b"") for at in (1, 2, 3)])
    settle(served)
    served.shard.cut_after(1)
    assert heard[-1] == (1, 1)
    assert served.shard.log.cuts == 1
    assert (3, 0) in heard


def test_failed_waiting_writes_may_still_be_committed(replica):
    """Told that the outcome is unknown, and the write counts all the same."""
    served = leading(replica())
    done = upsert(served, "a")
    served.shard.fail_pending(errors.UnknownOutcomeError("no quorum answered in time"))
    with pytest.raises(errors.UnknownOutcomeError, match="no quorum"):
        done.result(0)
    served.shard.commit(settle(served))
    assert ids_of(served) == ["a"]
