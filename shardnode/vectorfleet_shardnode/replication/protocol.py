"""The protocol of one replica, sans-IO: what happens comes in, what to do goes out. PURE.

Each method takes one event and returns effects, to be carried out in their order, each whole before the
next. Whoever drives it brings one event at a time. No clock: `tick` says that some time has passed, and no
decision rests on how much. The rules are Raft's; `tests/model` shows what breaks without each.

Rooms, each on top of the one before: `state`, what it knows; `office`, a primary's part; `following`, a
follower's; `changes`, what the operator asks; here, what concerns all of them.
"""

from . import changes, messages, state

Effects = state.Effects
ProtocolError = state.ProtocolError


class Replica(changes.Changes):
    """One replica's part.

    Args:
        me: this disk.
        stored: what was kept through the restart.
        history: of the log as it was found, all of it on the disk.
        committed: up to where it is known to be committed.
    """

    def synced_to(self, seq: int) -> Effects:
        """Take note that the log is on the disk up to `seq`.

        What was said of records that a `Cut` has removed since must not be brought any more.
        """
        if self.term is not None:
            self.history = self.history.extended(self.term.epoch, seq)
        self._on_disk = max(self._on_disk, seq)
        answers = [*self._settle(), *self._answer_seals(), *self._answer_leads()]
        return [*answers, *self._advance(), *self._ship()]

    def trimmed_to(self, base: int) -> Effects:
        """Take note that the log gave up the records up to `base`."""
        self.history = self.history.trimmed(base)
        return []

    def confirm(self, token: messages.Token) -> Effects:
        """Say what was promised; the asker compares it with its own epoch."""
        return [messages.Answer(token, messages.ConfirmReply(self.promised))]
