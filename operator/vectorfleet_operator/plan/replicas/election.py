"""How a change goes on from the answers of those that it sealed. PURE.

The greatest last record wins: it belongs to a log that holds everything that was ever acknowledged. Among
equals the operator is free.
"""

import dataclasses
from collections.abc import Mapping

from ... import replication
from . import steps


@dataclasses.dataclass(frozen=True)
class Election:
    """A change under its epoch, and who has been sealed for it."""

    change: steps.Change
    epoch: int
    last: Mapping[str, replication.Position] = dataclasses.field(default_factory=dict)
    """The last record of each that was sealed, by name."""

    def heard(self, member: replication.Member, answer: replication.Sealed | None) -> "Election":
        """Return the election after an answer; only the disk that was meant counts."""
        if answer is None or not answer.sealed or answer.disk != member.disk:
            return self
        return dataclasses.replace(self, last={**self.last, member.name: answer.last})

    @property
    def has_quorum(self) -> bool:
        """Whether enough are sealed for every acknowledged write to be among what they hold."""
        return len(self.last) >= self.change.needed

    @property
    def is_complete(self) -> bool:
        """Whether everybody has been sealed."""
        return len(self.last) == len(self.change.sealers)

    def winners(self) -> tuple[str, ...]:
        """Return those whose last record is the greatest."""
        greatest = max(self.last.values())
        return tuple(sorted(name for name, last in self.last.items() if last == greatest))

    def result(self) -> replication.Configuration:
        """Return the new configuration; a winner that was to go stays a member, since it has to lead.

        Raises:
            ValueError: too few have been sealed.
        """
        if not self.has_quorum:
            raise ValueError(f"{len(self.last)} of {self.change.needed} are sealed")
        winners, members = self.winners(), self.change.members
        able = [one.name for one in self.change.sealers if one.name in winners and one in members]
        primary = next((name for name in self.change.prefer if name in able), next(iter(able), winners[0]))
        if not able:
            members = (*members, next(one for one in self.change.sealers if one.name == primary))
        quorum = replication.write_quorum(len(members), every=self.change.every)
        return replication.Configuration(self.epoch, primary, members, quorum)

    @property
    def is_content(self) -> bool:
        """Whether the winner is who was to lead, or nobody insists on another one."""
        prefer = self.change.prefer
        return not (self.change.insists and prefer) or self.result().primary == prefer[0]


def epoch_for(change: steps.Change, reserved: int) -> int:
    """Return the epoch for a new attempt: no two share one, where a shard begins neither."""
    base = change.base.epoch if change.base is not None else 0
    return max(reserved, base) + 1
