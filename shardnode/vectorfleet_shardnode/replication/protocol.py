"""The protocol of one replica, sans-IO: what happens comes in, what to do goes out. PURE.

Each method takes one event and returns effects, to be carried out in their order, each whole before the
next. Whoever drives it brings one event at a time. No clock: `tick` says that some time has passed, and no
decision rests on how much. The rules are Raft's; `tests/model` shows what breaks without each.
"""

import dataclasses
from collections.abc import Iterator

from . import messages, reading, term
from .history import History

Effects = list[messages.Effect]


class ProtocolError(Exception):
    """Somebody broke the protocol; going on would lose what was promised."""


class Replica:
    """One replica's part.

    Args:
        me: this disk.
        stored: what was kept through the restart.
        history: of the log as it was found, all of it on the disk.
        committed: up to where it is known to be committed.
    """

    def __init__(
        self, me: messages.Member, stored: messages.Stored, history: History, committed: int = 0
    ) -> None:
        self.me = me
        self.stored = stored
        self.history = history
        self.committed = self.applied = max(committed, history.base.seq)
        self._on_disk = history.last_seq
        self.copying = False
        self.term: term.Term | None = None
        self._sealed_for = 0
        self._heard = False  # of the leader of the promised epoch, records that match
        self._told = 0  # the greatest commit index heard of, of records that this log may not hold yet
        self._equal = 0  # up to where the log equals that of the leader that was heard last
        self._owed: list[tuple[messages.Token, int]] = []  # answers to Appends that wait for the disk
        self._sealing: list[tuple[messages.Token, int]] = []  # who waits for a seal, and of which epoch
        self._stopping: int | None = None  # the epoch that is being left: `stopped` has not been heard
        self._leads: list[messages.Token] = []
        self._reads = reading.Rounds()

    # ------------------------------------------------------------------------------- what it is

    @property
    def promised(self) -> int:
        """The epoch below which nothing is taken."""
        return self.stored.promised

    @property
    def configuration(self) -> messages.Configuration | None:
        """The newest that is known to be committed."""
        return self.stored.configuration

    @property
    def synced(self) -> int:
        """The seq up to which the log is on the disk."""
        return min(self._on_disk, self.history.last_seq)

    @property
    def acknowledges(self) -> bool:
        """Whether it is a primary that was confirmed."""
        return self.term is not None and self.term.learned

    @property
    def is_member(self) -> bool:
        """Whether this disk counts in the newest configuration that it knows."""
        return self.configuration is not None and self.configuration.holds(self.me.disk)

    @property
    def is_level(self) -> bool:
        """Whether a follower has applied all that its primary had committed when it was last heard."""
        return self._heard and self.committed >= self._told

    # --------------------------------------------------------------------------------- restart

    def start(self) -> Effects:
        """Go on where the process before this one ended.

        A primary may: it never shipped what it had not on its disk, so it has all that anyone took from it.
        """
        known = self.configuration
        if known is None or not known.leads(self.me) or known.epoch != self.promised:
            return []
        if self.history.last.epoch != known.epoch:
            return []  # without a start record it never was in office
        # All of the log may have been acknowledged: the term begins behind it.
        self.term = term.Term(known, self.me, self.history.last_seq, learned=True)
        return [messages.Lead(known.epoch, resumes=True), messages.Open(), *self._advance(), *self.tick()]

    # --------------------------------------------------------------------------------- follower

    def append(self, token: messages.Token, given: messages.Append) -> Effects:
        """Take records, or a heartbeat, of the primary of an epoch."""
        if given.epoch < self.promised:
            return [self._refuse(token)]
        if self.term is not None and given.epoch == self.term.epoch:
            raise ProtocolError(f"two replicas lead epoch {given.epoch}")
        done = self._promise(given.epoch)
        self._sealed_for = 0  # whoever has followed another in an epoch does not lead it
        if self._stopping is not None:  # how far the log goes is not known yet; the sender will ask again
            return [*done, self._refuse(token)]
        self._told = max(self._told, given.committed)
        if self.copying:
            return [*done, self._missing(token)]
        if not self._matches(given):
            return [*done, *self._part(token, given)]
        return [*done, *self._take(token, given)]

    def _promise(self, epoch: int) -> Effects:
        """Promise an epoch; what an older one is owed is void."""
        if epoch <= self.promised:
            return []
        self._equal = self._told = 0
        self._heard = False
        refused: Effects = [self._refuse(token, epoch) for token, _ in self._owed]
        self._owed = []
        promise = self._store(dataclasses.replace(self.stored, promised=epoch))
        return [promise, *self._leave(), *refused]

    def _store(self, stored: messages.Stored) -> messages.Store:
        self.stored = stored
        return messages.Store(stored)

    def _refuse(self, token: messages.Token, epoch: int | None = None) -> messages.Answer:
        return messages.Answer(
            token, messages.AppendReply(epoch or self.promised, hint=self.history.last, applied=self.applied)
        )

    def _missing(self, token: messages.Token) -> messages.Answer:
        reply = messages.AppendReply(self.promised, needs_checkpoint=True, applied=self.applied)
        return messages.Answer(token, reply)

    def _matches(self, given: messages.Append) -> bool:
        """Tell whether the record before the first is the same; what is committed is the same everywhere."""
        at = given.previous
        return at.seq <= self.committed or self.history.epoch_at(at.seq) == at.epoch

    def _part(self, token: messages.Token, given: messages.Append) -> Effects:
        """Name a place further back, or copy segments where the sender's log does not reach back so far."""
        if given.previous.seq < given.log_begin:
            self.copying, refused = True, [self._missing(waiting) for waiting, _ in self._owed]
            self._owed = []
            return [messages.Copy(), self._missing(token), *refused]
        seq = min(given.previous.seq - 1, self.history.last_seq)
        conflicting = self.history.epoch_at(given.previous.seq)
        if conflicting is not None:  # the whole span is the wrong one
            first = self.history.first_of(conflicting)
            seq = min(seq, first - 1) if first is not None else seq
        hint = self.history.place(max(seq, self.committed, self.history.base.seq))
        return [messages.Answer(token, messages.AppendReply(self.promised, hint=hint, applied=self.applied))]

    def _take(self, token: messages.Token, given: messages.Append) -> Effects:
        """Keep what is equal, cut what differs, write the rest; answer once it is on the disk."""
        done: Effects = []
        known = given.previous.seq
        for seq, epoch in enumerate(given.epochs, given.previous.seq + 1):
            if seq > self.committed and self.history.epoch_at(seq) != epoch:
                break
            known = seq
        if known < given.last_seq and known < self.history.last_seq:
            done += self._cut(known)
        if known < given.last_seq:
            for seq in range(known + 1, given.last_seq + 1):
                self.history = self.history.extended(given.epochs[seq - given.previous.seq - 1], seq)
            done.append(messages.Write(known + 1))
        self._equal, self._heard = max(self._equal, given.last_seq), True
        self._owed.append((token, given.last_seq))
        return [*done, *self._settle()]

    def not_written(self, first: int) -> Effects:
        """Take note that there was no room for the records of a `Write`; the sender will ship them again."""
        self.history = self.history.cut(first - 1)
        self._equal = min(self._equal, first - 1)
        lost = [token for token, seq in self._owed if seq >= first]
        self._owed = [owed for owed in self._owed if owed[1] < first]
        return [self._refuse(token) for token in lost]

    def _cut(self, after: int) -> Effects:
        if after < self.committed:
            raise ProtocolError(f"records behind {after} are to be cut, but {self.committed} is committed")
        self.history = self.history.cut(after)
        self._on_disk = min(self._on_disk, after)
        self._equal = min(self._equal, after)
        return [messages.Cut(after)]

    def synced_to(self, seq: int) -> Effects:
        """Take note that the log is on the disk up to `seq`.

        What was said of records that a `Cut` has removed since must not be brought any more.
        """
        if self.term is not None:
            self.history = self.history.extended(self.term.epoch, seq)
        self._on_disk = max(self._on_disk, seq)
        answers = [*self._settle(), *self._answer_seals(), *self._answer_leads()]
        return [*answers, *self._advance(), *self._ship()]

    def _settle(self) -> Effects:
        """Commit what is known to be, and answer what is on the disk."""
        done: Effects = []
        reached = min(self._told, self._equal, self.synced)
        if self.term is None and reached > self.committed:
            self.committed = self.applied = reached
            done.append(messages.Commit(reached))
        for token, seq in [owed for owed in self._owed if owed[1] <= self.synced]:
            reply = messages.AppendReply(self.promised, matched=True, verified=seq, applied=self.applied)
            done.append(messages.Answer(token, reply))
        self._owed = [owed for owed in self._owed if owed[1] > self.synced]
        return done

    def installed(self, epoch: int, history: History) -> Effects:
        """Take note that segments were copied from the primary of `epoch`: the log goes on behind them.

        Raises:
            ProtocolError: a newer epoch was promised meanwhile; the copy must not take the log's place.
        """
        self.check_install(epoch, history)
        self.copying, self.history = False, history
        self._on_disk = self.committed = self.applied = history.last_seq
        self._equal = history.last_seq
        return []

    def check_install(self, epoch: int, history: History) -> None:
        """Refuse a copy that would take back what was promised.

        Raises:
            ProtocolError: a newer epoch was promised, or it holds less than is committed here.
        """
        if self.promised > epoch or self.term is not None:
            raise ProtocolError(f"a copy of epoch {epoch} came too late: {self.promised} is promised")
        held = max(self.committed, self._equal)
        if history.last_seq < held:
            raise ProtocolError(f"a copy reaches to {history.last_seq}, but {held} is held here")

    def copy_failed(self) -> Effects:
        """Go back to following; the next Append begins another copy where it is still needed."""
        self.copying = False
        return []

    def trimmed_to(self, base: int) -> Effects:
        """Take note that the log gave up the records up to `base`."""
        self.history = self.history.trimmed(base)
        return []

    # ------------------------------------------------------------------------------- the operator

    def seal(self, token: messages.Token, epoch: int, *, begins: bool = False) -> Effects:
        """Promise an epoch, and tell the last record once it is on the disk.

        One that holds a record, or knows a configuration, is not sealed for a shard that `begins`.
        """
        used = begins and (self.history.last_seq > 0 or self.configuration is not None)
        if epoch < self.promised or used or (self.term is not None and self.term.epoch == epoch):
            return [messages.Answer(token, messages.SealReply(False, self.promised, self.history.last))]
        done = self._promise(epoch)
        self._sealed_for = epoch
        self._sealing.append((token, epoch))
        return [*done, *self._answer_seals()]

    def _answer_seals(self) -> Effects:
        if self._stopping is not None or self.synced < self.history.last_seq:
            return []
        waiting, self._sealing = self._sealing, []
        promised, last = self.promised, self.history.last
        return [
            messages.Answer(token, messages.SealReply(epoch == promised, promised, last))
            for token, epoch in waiting
        ]

    def lead(self, token: messages.Token, wanted: messages.Configuration) -> Effects:
        """Take the office that this replica was sealed for, and answer once W members hold its log."""
        if self.term is None and self._may_lead(wanted):
            start = self.history.last_seq + 1
            self.term = term.Term(wanted, self.me, start, learned=False)
            self.history = self.history.extended(wanted.epoch, start)
            self._leads = [token]
            return [messages.Lead(wanted.epoch), *self._answer_leads(), *self.tick()]
        if self.term is None or not _same(self.term.configuration, wanted):
            return [messages.Answer(token, messages.LeadReply(False, last=self.history.last))]
        self._leads.append(token)
        return [*self._answer_leads(), *self._ship()]

    def not_led(self) -> Effects:
        """Take note that there was no room for the start record of a `Lead`."""
        if self.term is None:
            return []
        self.history, self.term = self.history.cut(self.term.start - 1), None
        waiting, self._leads = self._leads, []
        reply = messages.LeadReply(False, last=self.history.last)
        return [messages.Answer(token, reply) for token in waiting]

    def _may_lead(self, wanted: messages.Configuration) -> bool:
        sealed = self._sealed_for == self.promised == wanted.epoch > self.history.last.epoch
        return sealed and wanted.leads(self.me) and self._stopping is None and not self.copying

    def _answer_leads(self) -> Effects:
        if self.term is None or not self.term.held(self.synced):
            return []
        waiting, self._leads = self._leads, []
        reply = messages.LeadReply(True, held=True, last=self.history.last)
        return [messages.Answer(token, reply) for token in waiting]

    def configure(
        self,
        token: messages.Token,
        given: messages.Configuration,
        learners: tuple[messages.Member, ...] = (),
    ) -> Effects:
        """Take note of a committed configuration, and of who else is to be shipped to."""
        known = self.configuration
        done: Effects = []
        if known is None or given.epoch > known.epoch:
            done = [*self._promise(given.epoch), *self._learn(given)]
        elif given.epoch == known.epoch and given != known:
            done = self._learn(given) if _same(given, known) else []  # only addresses differ
        if self.term is not None and self.term.learned and _same(self.term.configuration, given):
            self.term.ship_to(given, learners)
            done += self._ship()
        newest = self.configuration.epoch if self.configuration else 0
        return [*done, messages.Answer(token, messages.ConfigureReply(newest))]

    def _learn(self, given: messages.Configuration) -> Effects:
        done: Effects = [self._store(dataclasses.replace(self.stored, configuration=given))]
        if self.term is not None and self.term.epoch == given.epoch and not self.term.learned:
            if not _same(given, self.term.configuration):
                raise ProtocolError(f"another configuration of epoch {given.epoch} was committed")
            self.term.learned = True
            return [*done, messages.Open(), *self._advance()]
        if self.term is None and self._stopping is None and not self.copying:
            done += self.start()  # it was elected, and started anew before it heard that it was confirmed
        return done

    # --------------------------------------------------------------------------------- primary

    def _leave(self) -> Effects:
        """Leave office; how far the log goes is told by `stopped`."""
        if self.term is None:
            return []
        self._stopping, self.term = self.term.epoch, None
        answers: Effects = [
            messages.Answer(token, messages.LeadReply(False, last=self.history.last)) for token in self._leads
        ]
        self._leads = []
        refused: Effects = [messages.Answer(token, messages.ReadReply(None)) for token in self._reads.drop()]
        return [*answers, *refused, messages.Follow()]

    def stopped(self, last_seq: int) -> Effects:
        """Take note that no more is written under the epoch that was left, and how far the log goes."""
        if self._stopping is not None:
            self.history = self.history.extended(self._stopping, last_seq)
        self._stopping = None
        return self._answer_seals()

    def append_reply(self, disk: str, epoch: int, reply: messages.AppendReply) -> Effects:
        """Take in a peer's answer to an Append of `epoch`."""
        peer = self._peer(disk, epoch)
        if peer is None:
            return []
        peer.busy = False
        if reply.promised > epoch:
            return []  # it waits for another primary; who that is, the operator will say
        peer.moved(reply, self.history)
        return [*self._answer_leads(), *self._advance(), *self._ship()]

    def unreachable(self, disk: str, epoch: int) -> Effects:
        """Take note that nothing came back from a peer; the next tick tries again."""
        peer = self._peer(disk, epoch)
        if peer is not None:
            peer.busy, peer.probing = False, True
        return []

    def _peer(self, disk: str, epoch: int) -> term.Peer | None:
        current = self.term
        return current.peers.get(disk) if current is not None and current.epoch == epoch else None

    def _advance(self) -> Effects:
        """Commit what W members hold."""
        if self.term is None:
            return []
        reached = self.term.committed(self.synced)
        if reached <= self.committed:
            return self._answer_reads()
        self.committed = self.applied = reached
        return [messages.Commit(reached), *self._answer_reads()]

    def _ship(self) -> Effects:
        """Send what peers lack, to each that has nothing under way."""
        if self.term is None:
            return []
        lacking = (
            peer
            for peer in self.term.peers.values()
            if not peer.busy and not peer.copying and not peer.probing and peer.next_seq <= self.synced
        )
        return [self._send(self.term, peer) for peer in lacking]

    def tick(self) -> Effects:
        """Tell everyone who has nothing under way that this is the primary, and what is committed."""
        if self.term is None:
            return []
        idle = [peer for peer in self.term.peers.values() if not peer.busy]
        asked = self._reads.asked_again(self.term.members())
        return [*(self._send(self.term, peer) for peer in idle), *self._ask(asked)]

    def tell_committed(self) -> Effects:
        """Tell the commit index to those that lack nothing else; sooner than a tick would."""
        if self.term is None:
            return []
        behind = (peer for peer in self.term.peers.values() if not peer.busy and peer.told < self.committed)
        return [self._send(self.term, peer) for peer in behind if not peer.probing and not peer.copying]

    def _send(self, current: term.Term, peer: term.Peer) -> messages.Send:
        message = term.next_append(current, peer, self.history, (self.synced, self.committed))
        peer.busy, peer.told = True, self.committed
        return messages.Send(peer.member, message)

    # ----------------------------------------------------------------------------- strong reads

    def strong_read(self, token: messages.Token) -> Effects:
        """Answer once it is sure that no later primary can have acknowledged anything before now."""
        if not self.acknowledges or self.term is None:
            return [messages.Answer(token, messages.ReadReply(None))]
        self._reads.add(token)
        return self._begin_round()

    def _begin_round(self) -> Effects:
        if self.term is None or not self._reads.begin():
            return []
        return [*self._ask(list(self.term.members())), *self._answer_reads()]

    def _ask(self, peers: list[term.Peer]) -> Iterator[messages.Send]:
        for peer in peers:
            if self.term is not None:
                asked = messages.Confirm(self.term.epoch, self._reads.number)
                yield messages.Send(peer.member, asked)

    def confirm(self, token: messages.Token) -> Effects:
        """Say what was promised; the asker compares it with its own epoch."""
        return [messages.Answer(token, messages.ConfirmReply(self.promised))]

    def confirm_reply(self, disk: str, asked: messages.Confirm, reply: messages.ConfirmReply) -> Effects:
        """Take in a member's answer."""
        if self._peer(disk, asked.epoch) is None or reply.promised > asked.epoch:
            return []
        self._reads.confirmed(disk, asked.round)
        return self._answer_reads()

    def _answer_reads(self) -> Effects:
        """Answer the reads of a round that W members confirmed, once the start record is committed."""
        current = self.term
        if current is None or not current.learned or self.committed < current.start:
            return []
        members = {peer.member.disk for peer in current.members()}
        if not self._reads.is_confirmed(members, current.configuration.write_quorum - 1):
            return []
        answered = self._reads.finish()
        answers: Effects = [messages.Answer(token, messages.ReadReply(self.committed)) for token in answered]
        return [*answers, *self._begin_round()]


def _same(one: messages.Configuration, other: messages.Configuration) -> bool:
    """Tell whether two configurations are the same but for addresses."""
    return (one.epoch, one.primary, one.write_quorum) == (
        other.epoch,
        other.primary,
        other.write_quorum,
    ) and [member[:2] for member in one.members] == [member[:2] for member in other.members]
