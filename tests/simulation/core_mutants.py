"""The core of replication with one rule left out."""

import dataclasses
from unittest import mock

from simulation.mutating import patch

from vectorfleet_shardnode.replication import messages, protocol, reading, term


@patch(protocol.Replica, "append")
def promise_check(original):
    """A follower takes what an older epoch's primary ships."""

    def append(self, token, given):
        stored = self.stored
        if given.epoch >= stored.promised or self.term is not None:
            return original(self, token, given)
        self.stored = dataclasses.replace(stored, promised=given.epoch)
        effects = original(self, lambda reply: token(dataclasses.replace(reply, promised=given.epoch)), given)
        self.stored = dataclasses.replace(self.stored, promised=stored.promised)
        return effects

    return append


@patch(term.Term, "quorum_seq")
def ack_quorum(original):
    """One member fewer must hold a record."""

    def quorum_seq(self, synced):
        held = sorted((synced, *(peer.verified for peer in self.members())), reverse=True)
        return held[max(self.configuration.write_quorum - 2, 0)]

    return quorum_seq


@patch(protocol.Replica, "_take")
def cut_tail(original):
    """A follower keeps what differs from the primary's log, and calls it equal."""

    def take(self, token, given):
        held = tuple(
            self.history.epoch_at(seq) or epoch
            for seq, epoch in enumerate(given.epochs, given.previous.seq + 1)
        )
        return original(self, token, dataclasses.replace(given, epochs=held))

    return take


@patch(protocol.Replica, "_take")
def keep_matching(original):
    """An old, short Append cuts what follows it."""

    def take(self, token, given):
        cut = []
        if self.committed <= given.last_seq < self.history.last_seq:
            cut = self._cut(given.last_seq)
        return [*cut, *original(self, token, given)]

    return take


@patch(protocol.Replica, "_contradicts")
def given_up(original):
    """A disk that returns after a loss was accepted does not notice that its records were given up."""
    return lambda self, given: False


@patch(protocol.Replica, "_matches")
def prev_check(original):
    """Records are taken whatever lies before them."""
    return lambda self, given: given.previous.seq <= self.history.last_seq


@patch(protocol.Replica, "_settle")
def ack_verified(original):
    """The answer names the log's length, not what was compared."""

    def settle(self):
        self._owed = [(token, seq) for token, seq in self._owed]
        effects = original(self)
        return [
            messages.Answer(effect.token, dataclasses.replace(effect.reply, verified=self.synced))
            if isinstance(effect, messages.Answer)
            else effect
            for effect in effects
        ]

    return settle


@patch(protocol.Replica, "lead")
def start_record(original):
    """A primary begins without a record of its own epoch, and commits older ones alone."""

    def lead(self, token, wanted):
        if self.term is not None or not self._may_lead(wanted):
            return original(self, token, wanted)
        self.term = term.Term(wanted, self.me, self.history.last_seq, learned=False)
        self._leads = [token]
        return [messages.Lead(wanted.epoch), *self._answer_leads(), *self.tick()]

    return lead


@patch(protocol.Replica, "lead")
def learn_commit(original):
    """A primary acknowledges before it knows that its configuration was committed."""

    def lead(self, token, wanted):
        effects = original(self, token, wanted)
        if self.term is not None and not self.term.learned:
            self.term.learned = True
            effects.append(messages.Open())
        return effects

    return lead


@patch(protocol.Replica, "check_install")
def late_copy(original):
    """A copied snapshot takes the log's place whenever it comes."""
    return lambda self, epoch, log: None


@patch(protocol.Replica, "_answer_reads")
def read_confirm(original):
    """A strong read is answered without asking anyone."""

    def answer_reads(self):
        with mock.patch.object(
            reading.Rounds, "is_confirmed", lambda rounds, members, needed: bool(rounds._asking)
        ):
            return original(self)

    return answer_reads


@patch(protocol.Replica, "start")
def read_resumed(original):
    """A primary that restarts answers strong reads before all of its log is committed again."""

    def start(self):
        effects = original(self)
        if self.term is not None:
            self.term.start = self.history.first_of(self.term.epoch) or self.history.base.seq
        return effects

    return start


@patch(term, "next_append")
def ship_fsynced(original):
    """A primary ships what it has not on its own disk yet, and resumes all the same."""
    return lambda current, peer, log, state: original(current, peer, log, (log.last_seq, state[1]))
