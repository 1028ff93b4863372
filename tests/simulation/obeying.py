"""What the operator asks of a simulated replica."""

import types

from simulation import loop, reporting, values

from vectorfleet_operator import replication
from vectorfleet_shardnode import rebuilding
from vectorfleet_shardnode.replication import messages


class Obeying:
    """The operator's side of a replica.

    Args:
        node: the replica.
    """

    def __init__(self, node):
        self._node = node

    def seal(self, disk, epoch, begins, answer):
        """A Seal arrives."""
        if disk != self._node.disk.identity:
            answer(None)
            return

        def sealed(reply):
            answer(replication.Sealed(reply.sealed, reply.promised, values.place(reply.last), disk))

        self._node.do(lambda: self._node.core.seal(sealed, epoch, begins=begins))

    def lead(self, wanted, seconds, answer):
        """A Lead arrives; it is answered as soon as enough hold the log, or when the time is up."""
        waiting = [answer]

        def led(reply):
            if waiting:
                waiting.pop()(replication.Led(reply.leading, reply.held, values.place(reply.last)))

        def late():
            leads = self._node.core.term is not None and self._node.core.term.epoch == wanted.epoch
            led(messages.LeadReply(leads, last=self._node.core.history.last))

        self._node.later(seconds * loop.SECOND, late)
        self._node.do(self._node.core.lead, led, wanted)

    def configure(self, configuration, learners, answer):
        """A Configure arrives."""
        self._node.do(self._node.core.configure, lambda reply: answer(reply.epoch), configuration, learners)

    def report(self, answer):
        """Say what it is."""
        if self._node.refuses:
            answer(replication.Damage(self._node.disk.identity, "a bit has flipped"))
        else:
            answer(reporting.state_of(self._node))

    def rebuild(self, disk, epoch, answer):
        """A Rebuild arrives, meant for a disk."""
        if disk != self._node.disk.identity:
            return
        if self._node.core is not None:
            self._node.give_up(epoch, lambda reply: answer(reply.disk or None))
            return
        known = types.SimpleNamespace(uid=disk, configuration=self._node.disk.stored.configuration)
        if not rebuilding.keeps_damaged(known, epoch):
            self._node.begin_anew(lambda reply: answer(reply.disk))
