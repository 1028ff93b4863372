"""What the operator asks of a replica: to promise, to lead, and to learn what was committed. PURE."""

import dataclasses

from . import following, messages, term
from .state import Effects, ProtocolError


class Changes(following.Following):
    """A replica's part in changes of the configuration, and its restart in the middle of one."""

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

    def stopped(self, last_seq: int) -> Effects:
        """Take note that no more is written under the epoch that was left, and how far the log goes."""
        if self._stopping is not None:
            self.history = self.history.extended(self._stopping, last_seq)
        self._stopping = None
        return self._answer_seals()

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

    def _may_lead(self, wanted: messages.Configuration) -> bool:
        sealed = self._sealed_for == self.promised == wanted.epoch > self.history.last.epoch
        return sealed and wanted.leads(self.me) and self._stopping is None and not self.copying

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

    def give_up(self, token: messages.Token, epoch: int) -> Effects:
        """Give up all data and begin anew as another disk, if the configuration of `epoch` can bear it.

        The new disk is no member of anything, so nobody counts on what it lacks; it is filled as any learner.
        """
        if refusal := self._keeps_data(epoch):
            return [messages.Answer(token, messages.GiveUpReply("", refusal))]
        return [messages.GiveUp(token)]

    def _keeps_data(self, epoch: int) -> str:
        """Return why the data must stay, empty where it may go."""
        known = self.configuration
        if known is None or known.epoch != epoch:
            return f"the configuration known here is of epoch {known.epoch if known else 0}, not {epoch}"
        if self.promised != epoch:
            return f"epoch {self.promised} is promised: the configuration is being changed"
        if self.term is not None or self._stopping is not None or known.leads(self.me):
            return "the primary's data is what others are filled from; hand over first"
        if self.is_member and known.write_quorum == 1:
            return "no other member need hold what this one holds"
        return ""

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


def _same(one: messages.Configuration, other: messages.Configuration) -> bool:
    """Tell whether two configurations are the same but for addresses."""
    return (one.epoch, one.primary, one.write_quorum) == (
        other.epoch,
        other.primary,
        other.write_quorum,
    ) and [member[:2] for member in one.members] == [member[:2] for member in other.members]
