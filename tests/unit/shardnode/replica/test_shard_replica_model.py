"""A replica against a list of states, one after each record."""

import contextlib
import itertools
import os
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from fixtures.replicas import BOTH, opened, rows, settle, upsert
from hypothesis import stateful
from hypothesis import strategies as st
from modelling import machines

from vectorfleet_shardnode import keys, operations, records
from vectorfleet_shardnode.log import log_format
from vectorfleet_shardnode.segments import part


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


ReplicaMachine.TestCase.settings = machines.settings(40, steps=30)

TestReplicaModel = ReplicaMachine.TestCase
