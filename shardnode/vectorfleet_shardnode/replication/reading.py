"""Strong reads in rounds: all that began before a round was asked are answered by its confirmations. PURE."""

from collections.abc import Iterable

from . import messages, term


class Rounds:
    """The reads that wait. A read that comes while a round is under way goes with the next one."""

    def __init__(self) -> None:
        self.number = 0
        self._asking: list[messages.Token] = []
        self._waiting: list[messages.Token] = []
        self._confirmed: set[str] = set()

    def add(self, token: messages.Token) -> None:
        """Let a read wait for the next round."""
        self._waiting.append(token)

    def begin(self) -> bool:
        """Begin a round, unless one is under way or nobody waits."""
        if self._asking or not self._waiting:
            return False
        self.number += 1
        self._asking, self._waiting, self._confirmed = self._waiting, [], set()
        return True

    @property
    def under_way(self) -> bool:
        """Whether a round is asked."""
        return bool(self._asking)

    def confirmed(self, disk: str, number: int) -> None:
        """Take in a confirmation of a round."""
        if number == self.number:
            self._confirmed.add(disk)

    def is_confirmed(self, members: set[str], needed: int) -> bool:
        """Tell whether enough members, beside this one, have confirmed the round under way."""
        return self.under_way and len(self._confirmed & members) >= needed

    def asked_again(self, members: Iterable[term.Peer]) -> list[term.Peer]:
        """Return who has not confirmed the round under way."""
        return [peer for peer in members if self._asking and peer.member.disk not in self._confirmed]

    def finish(self) -> list[messages.Token]:
        """End the round; returns its reads."""
        done, self._asking = self._asking, []
        return done

    def drop(self) -> list[messages.Token]:
        """Return all reads, which can't be answered here any more."""
        dropped = [*self._asking, *self._waiting]
        self._asking, self._waiting = [], []
        return dropped
