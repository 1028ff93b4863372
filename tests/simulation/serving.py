"""What clients ask of a simulated replica: writes that wait for their commit, strong reads, and others."""

from simulation import records


class Serving:
    """The clients' side of a replica.

    Args:
        node: the replica.
    """

    def __init__(self, node):
        self._node = node
        self._waiting = {}  # seq -> answers that wait for its commit

    def start(self):
        """Begin with a process: nobody waits."""
        self._waiting = {}

    def break_off(self):
        """Tell all who wait that the outcome is unknown."""
        waiting, self._waiting = self._waiting, {}
        for answers in waiting.values():
            for answer, _ in answers:
                answer(("unknown", None))

    def committed(self, upto):
        """Answer those whose writes are committed."""
        for seq in [seq for seq in self._waiting if seq <= upto]:
            for answer, write_id in self._waiting.pop(seq):
                self._acknowledge(seq, answer, write_id)

    def write(self, write, answer):
        """A client's write arrives: (id, key, value)."""
        if not self._node.open or self._node.core.term is None:
            answer(("refused", self._primary()))
            return
        self._node.later(self._node.rng.choice((0, 1)), self._plan, write, answer)

    def _plan(self, write, answer):
        write_id, key, value = write
        seq = self._node.ids.get(write_id)
        if self._node.office is None:
            answer(("refused", self._primary()))
        elif seq is None:
            seq = self._node.disk.last_seq + 1
            self._node.log_record(records.Record(self._node.office, seq, write_id, key, value))
            if "ship_fsynced" in self._node.world.dropped:
                self._node.core.history = self._node.core.history.extended(self._node.office, seq)
            self._wait(seq, answer, write_id)
        elif seq <= self._node.core.committed:
            self._acknowledge(seq, answer, write_id)
        else:
            self._wait(seq, answer, write_id)

    def _wait(self, seq, answer, write_id):
        if self._node.open:
            self._waiting.setdefault(seq, []).append((answer, write_id))
        else:
            answer(("unknown", None))

    def _acknowledge(self, seq, answer, write_id):
        if self._node.core.term is None or not self._node.open:
            answer(("unknown", None))
            return
        self._node.promises.acknowledges(self._node.disk.identity, self._node.core.term.epoch, seq, write_id)
        answer(("done", seq))

    def strong_read(self, key, answer):
        """A strong read arrives."""

        def answered(reply):
            if reply.seq is None:
                answer(("refused", self._primary()))
            else:
                answer(("done", (self._node.core.committed, self._node.rows.get(key))))

        self._node.do(self._node.core.strong_read, answered)

    def read(self, key, at_least, answer, tries=4):
        """A read arrives that demands a position.

        A disk that has returned after its loss was accepted shows what it has: nobody is sent there who asks
        a gateway, since it is never level.
        """
        if self._node.disk.returned:
            return
        if self._node.core.committed >= at_least:
            answer(("done", (self._node.core.committed, self._node.rows.get(key))))
        elif tries:
            self._node.later(20, self.read, key, at_least, answer, tries - 1)

    def _primary(self):
        known = self._node.core.configuration
        return known.primary if known is not None else None
