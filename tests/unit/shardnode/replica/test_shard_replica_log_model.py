"""A log against a list: appends of growing epochs, cuts, rotations, trims and restarts."""

import contextlib
import os
import tempfile
from pathlib import Path
from unittest import mock

from fixtures.replica_logs import FAR, entries, everything, opened, settle
from hypothesis import stateful
from hypothesis import strategies as st
from modelling import machines


class LogMachine(stateful.RuleBasedStateMachine):
    """A log against a list: appends of growing epochs, cuts, rotations, trims and restarts."""

    @stateful.initialize(folder=st.uuids(), recent=st.sampled_from([0, 200, FAR]))
    def begin(self, folder, recent):
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(mock.patch.object(os, "fsync"))
        self.folder = self.stack.enter_context(_temporary())
        self.recent, self.expected, self.epoch = recent, [], 1
        self.committed = self.covered = 0
        self.it = opened(self.folder, recent_bytes=recent)

    def teardown(self):
        if hasattr(self, "it"):
            self.it.close()
            self.stack.close()

    @stateful.rule(count=st.integers(1, 5), newer=st.booleans(), size=st.integers(0, 90))
    def append(self, count, newer, size):
        self.epoch += newer
        last = len(self.expected)
        added = entries(last + 1, last + count, self.epoch, size)
        self.it.append_entries(added)
        self.expected += added

    @stateful.rule(share=st.floats(0, 1))
    def commit(self, share):
        self.committed += round((len(self.expected) - self.committed) * share)
        self.it.note_committed(self.committed)

    @stateful.rule(share=st.floats(0, 1))
    def cut(self, share):
        seq = self.committed + round((len(self.expected) - self.committed) * share)
        settle(self.it)
        self.it.cut_after(seq)
        del self.expected[seq:]

    @stateful.rule()
    def rotate(self):
        self.it.rotate()

    @stateful.rule(share=st.floats(0, 1), keep=st.sampled_from([0, 300, 1_000, FAR]))
    def trim(self, share, keep):
        self.covered += round((self.committed - self.covered) * share)
        self.it.trim(self.covered, keep)

    @stateful.rule()
    def restart(self):
        self.it.close()
        self.it = opened(self.folder, self.covered, self.recent, durable_seq=self.covered)
        assert [seq for _, seq in self.it.applied] == list(range(self.covered + 1, self.committed + 1))

    @stateful.invariant()
    def it_holds_what_is_expected(self):
        settle(self.it)
        first = self.it.first_seq
        assert first <= self.covered + 1
        assert everything(self.it) == self.expected[first - 1 :]
        assert self.it.last == ((self.expected[-1].epoch if self.expected else 0), len(self.expected))
        for known in self.expected[max(0, first - 2) :]:
            assert self.it.epoch_at(known.seq) == known.epoch
            if known.seq >= first:
                assert self.it.find_write(known.write_id) == (known.seq, known.affected, known.epoch)


@contextlib.contextmanager
def _temporary():
    with tempfile.TemporaryDirectory(prefix="log-model-") as folder:
        yield Path(folder)


LogMachine.TestCase.settings = machines.settings(60)


TestLogModel = LogMachine.TestCase
