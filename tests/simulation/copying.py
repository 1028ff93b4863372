"""A simulated replica takes over another's segments, with the worst timing that the contract allows."""

import dataclasses

from vectorfleet_shardnode.replication import history, protocol

PATIENCE = 50  # of a call for segments


class Copying:
    """What a replica copies, and what it gives to others.

    Args:
        node: the replica.

    Attributes:
        under_way: the epoch of the copy that is, and what tells it from others; None where none is.
    """

    def __init__(self, node):
        self._node = node
        self.under_way = None

    def checkpoint(self, epoch, answer):
        """A replica asks for segments."""
        if self._node.core.promised <= epoch:
            answer(self._node.disk.snapshot)

    def begin(self, given):
        """Ask the sender of an Append for its segments."""
        message, _, source = given
        run = self._node.runs
        self.under_way = copying = (message.epoch, object())

        def deliver(answer):
            source.enter(None, source.copying.checkpoint, message.epoch, answer)

        def answered(snapshot):
            if snapshot is None or self._node.rng.random() < 0.3:
                self._node.enter(run, self.abort, copying)
            if snapshot is not None:
                # A copy that began on a slow disk has to end within the time in which all gets well.
                delay = self._node.rng.choice((1, 5, 60)) * min(self._node.slow_disk, 10.0)
                self._node.clock.after(delay, self._node.enter, run, self._install, copying, snapshot)

        self._node.world.network.ask((self._node.name, source.name), deliver, answered, PATIENCE)

    def abort(self, copying):
        """Give up a copy, unless another has begun since."""
        if self.under_way is copying:
            self.under_way = None
            self._node.do(self._node.core.copy_failed)

    def _install(self, copying, snapshot):
        """A copy is whole; it may come after it was given up."""
        log = history.starting(snapshot.place)
        try:
            self._node.core.check_install(copying[0], log)
        except protocol.ProtocolError:
            self.abort(copying)
            return
        if self._node.core.copying and self.under_way is not copying:
            return  # another copy has begun since
        self.under_way = None
        if "ids_copied" in self._node.world.dropped:
            snapshot = dataclasses.replace(snapshot, ids={})
        self._node.disk.install(snapshot)
        self._node.promises.installs(self._node.disk)
        self._node.do(self._node.core.installed, copying[0], log)
        self._node.load()
