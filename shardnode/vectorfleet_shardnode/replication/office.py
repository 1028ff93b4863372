"""A primary's part of the protocol: it ships, commits what W members hold, and answers strong reads. PURE."""

from collections.abc import Iterator

from . import messages, state, term
from .state import Effects


class Office(state.State):
    """What a replica does in office, from `Lead` to `Follow`."""

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

    def _answer_leads(self) -> Effects:
        if not self._leads or self.term is None or not self.term.held(self.synced):
            return []
        waiting, self._leads = self._leads, []
        reply = messages.LeadReply(True, held=True, last=self.history.last)
        return [messages.Answer(token, reply) for token in waiting]

    def not_led(self) -> Effects:
        """Take note that there was no room for the start record of a `Lead`."""
        if self.term is None:
            return []
        self.history, self.term = self.history.cut(self.term.start - 1), None
        waiting, self._leads = self._leads, []
        reply = messages.LeadReply(False, last=self.history.last)
        return [messages.Answer(token, reply) for token in waiting]

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

    def confirm_reply(self, disk: str, asked: messages.Confirm, reply: messages.ConfirmReply) -> Effects:
        """Take in a member's answer."""
        if self._peer(disk, asked.epoch) is None or reply.promised > asked.epoch:
            return []
        self._reads.confirmed(disk, asked.round)
        return self._answer_reads()

    def _answer_reads(self) -> Effects:
        """Answer the reads of a round that W members confirmed, once the start record is committed."""
        current = self.term
        if not self._reads.under_way or current is None or not current.learned:
            return []
        if self.committed < current.start:
            return []
        members = {peer.member.disk for peer in current.members()}
        if not self._reads.is_confirmed(members, current.configuration.write_quorum - 1):
            return []
        answered = self._reads.finish()
        answers: Effects = [messages.Answer(token, messages.ReadReply(self.committed)) for token in answered]
        return [*answers, *self._begin_round()]
