"""The protocol with one rule left out: what the simulator must notice.

A mutation either changes the core (`changes`), or is the name of a rule that the simulated replicas or
operators leave out (`dropped`).
"""

import contextlib
import dataclasses
import random
from unittest import mock

from simulation import plan

from vectorfleet_shardnode.replication import messages, protocol, reading, term

PATCHES = {}
DROPPED = {
    "ack_fsync": "A follower answers before its fsync.",
    "seal_quorum": "One member fewer is sealed.",
    "winner_by_epoch": "The longest log wins, whatever its epoch.",
    "hold_first": "A configuration is committed before W' members hold the log.",
    "cas_reserved": "A configuration is committed though a later epoch was reserved.",
    "promise_durable": "A promise does not survive a restart.",
    "disk_identity": "A lost disk comes back empty under the old identity.",
}


def patch(target, name):
    """Let a function stand in the place of a method while its mutation is in force."""

    def register(function):
        original = getattr(target, name)
        PATCHES.setdefault(function.__name__, []).append((target, name, function(original)))
        return function

    return register


@contextlib.contextmanager
def applied(mutation):
    """Put a mutation into force; gives the rules that replicas and operators are to drop."""
    with contextlib.ExitStack() as stack:
        for target, name, changed in PATCHES.get(mutation, []):
            stack.enter_context(mock.patch.object(target, name, changed))
        yield frozenset({mutation})


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


WEATHER = {
    "ack_fsync": {"fsync": 10.0, "trouble": {"power": 4, "crash": 4, "alone": 2}},
    "cas_reserved": {
        "operators": 2,
        "operator_crashes": 0.0,
        "loss": 0.0,
        "trouble": {"hand_over": 6, "resize": 3, "slow_link": 3, "alone": 2},
        "pause": 8.0,
    },
    "disk_identity": {"trouble": {"lost_disk": 3, "hand_over": 4, "crash": 2, "alone": 2}},
    "hold_first": {
        "replicas": 4,
        "members": 2,
        "trouble": {"resize": 6, "crash": 2, "alone": 2, "power": 1, "slow_link": 2},
    },
    "read_confirm": {"trouble": {"alone": 6, "freeze": 2, "hand_over": 4}},
    "ship_fsynced": {"fsync": 30.0, "trouble": {"crash": 6, "crash_soon": 3}, "loss": 0.0, "clients": 8},
    "start_record": {
        "replicas": 3,
        "members": 3,
        "patience": 8.0,
        "delay": 1.0,
        "loss": 0.0,
        "fsync": 3.0,
        "trouble": {"alone": 8, "freeze": 2},
        "clients": 8,
        "pause": 8.0,
        "operators": 1,
    },
    "winner_by_epoch": {
        "patience": 8.0,
        "clients": 8,
        "trouble": {"alone": 6, "crash": 1, "hand_over": 2, "freeze": 2},
    },
}
"""Where a storm of all kinds takes long to find a mutation: what it should be made of."""


def plan_for(mutation, seed):
    """Return a plan in which a mutation soon does harm."""
    return dataclasses.replace(plan.storm(random.Random(seed)), **WEATHER.get(mutation, {}))


DESCRIPTIONS = DROPPED | {name: globals()[name].__doc__ for name in PATCHES}
"""Every mutation, and what it leaves out."""
