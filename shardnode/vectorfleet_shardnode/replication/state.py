"""What a replica is between two events, and the effects that every part of it needs. PURE."""

from . import messages, reading, term
from .history import History

Effects = list[messages.Effect]


class ProtocolError(Exception):
    """Somebody broke the protocol; going on would lose what was promised."""


class State:
    """What one replica knows.

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
        self.diverged = False  # what is committed here is not what the primary of the promised epoch holds
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
        """Whether a follower has applied all that its primary, when last heard, had committed."""
        return self._heard and not self.diverged and min(self.committed, self._equal) >= self._told

    def _store(self, stored: messages.Stored) -> messages.Store:
        self.stored = stored
        return messages.Store(stored)
