"""A shard that leads or follows: only what is committed is seen, and what never was leaves no trace."""

import contextlib
import errno
import itertools
import os
import tempfile
from pathlib import Path
from unittest import mock

import hypothesis
import numpy as np
import pytest
from fixtures import builders, replicas
from fixtures.replicas import BOTH, close, ids_of, leading, opened, rows, settle, ship, upsert
from hypothesis import stateful
from hypothesis import strategies as st

from vectorfleet_shardnode import (
    digests,
    errors,
    filters,
    keys,
    log_format,
    operations,
    records,
    shard,
    states,
    storage,
)
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.segments import manifest, part


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """Power is never cut here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def replica(tmp_path):
    """Open replicas by name; they are closed at the end."""
    with contextlib.ExitStack() as stack:

        def open_it(name="a", **changed):
            served = opened(tmp_path / name, **changed)
            stack.callback(close, served)
            return served

        yield open_it


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


def test_maintenance_waits_for_no_commit(replica):
    """While nothing is committed a segment is ended, and one that was made takes its place everywhere."""
    served = leading(replica())
    upsert(served, *"abcdef", x=1)
    served.shard.commit(2)
    served.shard.freeze()
    served.shard.write(operations.DeleteIds("", ["a"]))
    upsert(served, "b", x=9)
    settle(served)
    for _ in range(4):
        served.maintenance.step()  # flushes and builds, with two writes that are not committed
    [view] = served.shard.snapshot.sealed
    assert (view.live_rows, view.segment.indexed) == (6, True)
    served.shard.freeze()
    assert served.shard.freezing
    served.maintenance.step()
    served.shard.commit(settle(served))
    assert not served.shard.freezing
    assert ids_of(served) == list("bcdef")
    assert [view.live_rows for view in served.shard.snapshot.sealed] == [4]


def test_a_segment_that_was_installed_outlives_the_office(replica):
    """The state that readers see keeps it, and rows that had died in what is forgotten live in it."""
    served = leading(replica())
    upsert(served, *"abcdef")
    served.shard.commit(2)
    served.shard.freeze()
    served.shard.write(operations.DeleteIds("", ["a"]))
    settle(served)
    for _ in range(4):
        served.maintenance.step()
    served.shard.follow()
    [view] = served.shard.snapshot.sealed
    assert (view.live_rows, ids_of(served)) == (6, list("abcdef"))


def test_a_flush_never_holds_what_is_not_committed(replica, tmp_path):
    """A growing segment that was ended with rows in doubt waits; after that only its committed rows go."""
    served = leading(replica())
    upsert(served, "a", "b")
    served.shard.commit(2)
    upsert(served, "c")
    settle(served)
    served.shard.freeze()
    for _ in range(3):
        served.maintenance.step()
    assert served.shard.snapshot.sealed == ()
    served.shard.follow()
    for _ in range(3):
        served.maintenance.step()
    assert [view.segment.rows for view in served.shard.snapshot.sealed] == [2]
    stored = manifest.read(tmp_path / "a", served.replica.disk)
    assert (stored.covered_seq, stored.durable_seq, stored.covered_epoch) == (2, 2, 1)


def test_digests_are_equal_whatever_the_segments_look_like(replica):
    """One flushes and builds, one doesn't, one came by a restart: the same digests at the same seqs."""
    leader, busy, lazy = leading(replica("a")), replica("b"), replica("c", growing_rows=1_000)
    for number in range(12):
        upsert(leader, f"r{number % 5}", f"s{number}", x=number)
        leader.shard.commit(settle(leader))
        for follower in (busy, lazy):
            ship(leader, follower)
            follower.shard.commit(leader.shard.committed)
        busy.maintenance.step()
        for served in (leader, busy, lazy):
            served.shard.digests.wait()
    assert len(busy.shard.snapshot.sealed) > 0
    assert lazy.shard.snapshot.sealed == ()
    wanted = leader.shard.digests.newest
    assert [digest.seq for digest in wanted] == list(range(6, 14))
    assert busy.shard.digests.newest == lazy.shard.digests.newest == wanted
    assert len({digest.rows for digest in wanted}) == len(wanted)
    busy.close()
    assert digests.of(replica("b").shard.snapshot) == wanted[-1]


def test_a_digest_tells_versions_apart():
    """The same keys of other writes, or one row less, are another digest."""

    def state_of(*seqs):
        view = mock.Mock()
        hashes = np.arange(1, len(seqs) + 1, dtype=np.uint64)
        view.versions.return_value = np.arange(len(seqs)), hashes, np.array(seqs, np.uint64)
        return mock.Mock(parts=[view], epoch=1, seq=9, live_rows=len(seqs))

    folds = [digests.of(state_of(*seqs)).rows for seqs in ((1, 2), (2, 1), (1, 3), (1,), ())]
    assert len(set(folds)) == 5


def test_only_one_digest_is_computed_at_a_time(replica, monkeypatch):
    """What is due meanwhile is left out, and nobody waits for it."""
    served = leading(replica())
    served.shard.digests.wait()
    with served.shard.digests._busy:
        upsert(served, "a")
        served.shard.commit(settle(served))
    assert ids_of(served) == ["a"]
    assert 2 not in [digest.seq for digest in served.shard.digests.newest]


def test_rows_keep_the_seq_of_their_write(replica):
    """Through flush, build and merge."""
    served = leading(replica())
    for number in range(6):
        upsert(served, f"a{number}", f"b{number}")
    served.shard.commit(settle(served))
    served.shard.freeze()
    for _ in range(6):
        served.maintenance.step()
    [view] = served.shard.snapshot.sealed
    assert view.segment.indexed
    _, hashes, seqs = view.versions()
    found = dict(zip(hashes.tolist(), seqs.tolist(), strict=True))
    for number in range(6):
        for row_id in (f"a{number}", f"b{number}"):
            assert found[keys.keys_of("", [row_id]).hashes[0]] == number + 2


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
    served.shard.listen(shard.Listener(durable=lambda *told: heard.append(told)))
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


class ReplicaMachine(stateful.RuleBasedStateMachine):
    """One replica against a list of states, one after each record: it leads, follows, is cut, restarts."""

    @stateful.initialize(folder=st.uuids())
    def begin(self, folder):
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(mock.patch.object(os, "fsync"))
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="replica-")))
        self.history = [{}]  # the rows after each record
        self.epochs = [0]
        self.committed, self.epoch, self.leads = 0, 0, False
        self.numbers = itertools.count(1)
        self.served = opened(self.folder)

    def teardown(self):
        if hasattr(self, "served"):
            self.served.close()
            self.stack.close()

    def note(self, changed):
        self.history.append(changed)
        self.epochs.append(self.epoch)

    def room(self):
        while len(self.served.shard._states.head.growing) > 2 or len(self.served.shard.snapshot.growing) > 2:
            self.served.shard.commit(self.served.shard.log.last_seq)
            self.committed = settle(self.served)
            self.served.shard.commit(self.committed)
            self.served.maintenance.step()

    chosen = st.lists(
        st.sampled_from([f"n{number}" for number in range(9)]), min_size=1, max_size=5, unique=True
    )

    @stateful.rule(ids=chosen, gone=st.booleans())
    def write(self, ids, gone):
        """As the primary writes it, or as it comes from one."""
        settle(self.served)
        self.room()
        before, x = self.history[-1], next(self.numbers)
        if self.leads:
            if gone:
                self.served.shard.write(operations.DeleteIds("", ids))
                if not before.keys() & set(ids):
                    return
            else:
                upsert(self.served, *ids, x=x)
        elif self.epoch:
            record = records.Remove("", ids) if gone else records.Put("", rows(*ids, x=x))
            op, payload = records.encode(record)
            seq = len(self.history)
            self.served.shard.append_entries([log_format.Entry(self.epoch, seq, op, b"".join(payload))])
        else:
            return
        left = {row_id: row for row_id, row in before.items() if row_id not in ids}
        self.note(left if gone else left | {row_id: [x, at + 1] for at, row_id in enumerate(ids)})

    @stateful.rule(share=st.floats(0, 1))
    def commit(self, share):
        self.committed += round((settle(self.served) - self.committed) * share)
        self.served.shard.commit(self.committed)

    @stateful.rule()
    def lead(self):
        if not self.leads:
            self.room()
            self.epoch, self.leads = self.epoch + 1, True
            self.served.replica.promise(self.epoch)
            self.served.shard.lead(self.epoch)
            self.note(self.history[-1])

    @stateful.rule(newer=st.booleans())
    def follow(self, newer):
        self.served.shard.follow()
        self.leads = False
        self.epoch += newer
        self.served.replica.promise(self.epoch)

    @stateful.rule(share=st.floats(0, 1))
    def cut(self, share):
        if not self.leads:
            after = self.committed + round((settle(self.served) - self.committed) * share)
            self.served.shard.cut_after(after)
            del self.history[after + 1 :], self.epochs[after + 1 :]

    @stateful.rule(steps=st.integers(1, 4))
    def keep(self, steps):
        for _ in range(steps):
            self.served.maintenance.step()

    @stateful.rule()
    def freeze(self):
        if len(self.served.shard._states.head.growing) <= 2:
            self.served.shard.freeze()

    @stateful.rule(resumes=st.booleans())
    def restart(self, resumes):
        self.served.close()
        self.served = opened(self.folder)
        assert self.served.shard.snapshot.seq == self.committed
        if self.leads and resumes and self.epochs[-1] == self.epoch:
            self.served.shard.lead(self.epoch, resumes=True)
        else:
            self.leads = False

    @stateful.invariant()
    def readers_see_what_is_committed(self):
        settle(self.served)
        state = self.served.shard.snapshot
        assert state.seq == self.committed
        assert state.epoch == self.epochs[self.committed]
        wanted = self.history[self.committed]
        assert state.list_ids(part.Page("", "", "", 100)) == sorted(wanted)
        found = state.take(state.locate(keys.keys_of("", [f"n{number}" for number in range(9)])), BOTH)
        held = zip(found.ids, found.vectors.tolist(), strict=True)
        assert dict(held) == wanted
        assert state.count(None) == ({"": len(wanted)} if wanted else {})
        assert self.served.shard.log.last == (self.epochs[-1], len(self.history) - 1)
        question = part.Question("", np.ones((1, 2), np.float32), 100, None, 9, exact=True)
        [(_, place)] = state.search(question)
        assert sorted(state.take(place, BOTH).ids) == sorted(wanted)

    @stateful.invariant()
    def writes_are_planned_on_all_of_it(self):
        if self.leads:
            head = self.served.shard._states.head
            assert head.list_ids(part.Page("", "", "", 100)) == sorted(self.history[-1])


ReplicaMachine.TestCase.settings = hypothesis.settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
TestReplicaModel = ReplicaMachine.TestCase
