"""A follower's part of the protocol: it takes records of a primary, cuts what differs, and copies. PURE."""

import dataclasses

from . import messages, office
from .history import History
from .state import Effects, ProtocolError


class Following(office.Office):
    """What a replica does for the primary of an epoch; whoever follows leaves office first."""

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
        self.diverged = self.diverged or (not self.copying and self._contradicts(given))
        if self.copying or self.diverged:
            return [*done, self._missing(token)]
        if not self._matches(given):
            return [*done, *self._part(token, given)]
        return [*done, *self._take(token, given)]

    def _promise(self, epoch: int) -> Effects:
        """Promise an epoch; what an older one is owed is void."""
        if epoch <= self.promised:
            return []
        self._equal = self._told = 0
        self._heard = self.diverged = False
        refused: Effects = [self._refuse(token, epoch) for token, _ in self._owed]
        self._owed = []
        promise = self._store(dataclasses.replace(self.stored, promised=epoch))
        return [promise, *self._leave(), *refused]

    def _refuse(self, token: messages.Token, epoch: int | None = None) -> messages.Answer:
        return messages.Answer(
            token, messages.AppendReply(epoch or self.promised, hint=self.history.last, applied=self.applied)
        )

    def _missing(self, token: messages.Token) -> messages.Answer:
        reply = messages.AppendReply(self.promised, needs_checkpoint=True, applied=self.applied)
        return messages.Answer(token, reply)

    def _contradicts(self, given: messages.Append) -> bool:
        """Tell whether a primary has other records than are committed here.

        It can't, unless a person accepted a loss while this disk was away: its data was given up then.
        """
        if given.previous.seq > self.committed:
            return False
        seqs = range(given.previous.seq, self.committed + 1)
        epochs = (given.previous.epoch, *given.epochs)
        return any(self.history.denies(seq, epoch) for seq, epoch in zip(seqs, epochs, strict=False))

    def _matches(self, given: messages.Append) -> bool:
        """Tell whether the record before the first is the same; what is committed and was not denied is."""
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

    # ---------------------------------------------------------------------------------- copying

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
