"""What goes in and out of the protocol's core, as values. PURE.

Messages name records by place and epoch alone; whoever carries them adds the payloads.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

from .history import NOTHING, Position

Token = Any
"""Whoever waits for an answer; the core only hands it back."""


class Member(NamedTuple):
    """A disk that holds the shard."""

    name: str
    disk: str
    address: str = ""


@dataclasses.dataclass(frozen=True)
class Configuration:
    """Who holds the shard and who orders its writes; `write_quorum` is W."""

    epoch: int
    primary: str
    members: tuple[Member, ...]
    write_quorum: int

    @property
    def seal_quorum(self) -> int:
        """How many members must be sealed so that each write quorum has one of them: |C| - W + 1."""
        return len(self.members) - self.write_quorum + 1

    @functools.cached_property
    def _disks(self) -> frozenset[str]:
        return frozenset(member.disk for member in self.members)

    def holds(self, disk: str) -> bool:
        """Tell whether a disk is a member."""
        return disk in self._disks

    def leads(self, member: Member) -> bool:
        """Tell whether this very disk is the primary."""
        return self.primary == member.name and self.holds(member.disk)


@dataclasses.dataclass(frozen=True)
class Stored:
    """What a replica keeps besides its log, durable before anyone is answered."""

    promised: int = 0
    configuration: Configuration | None = None


# ------------------------------------------------------------------------------------------- messages


@dataclasses.dataclass(frozen=True)
class Append:
    """Records first to first + len(epochs) - 1 of the primary of `epoch`; none in a heartbeat.

    As sent, `epochs` is empty and `upto` says how far the records may go: whoever carries it reads them.
    """

    epoch: int
    previous: Position
    epochs: tuple[int, ...] = ()
    committed: int = 0
    log_begin: int = 1
    upto: int = 0

    @property
    def last_seq(self) -> int:
        """The seq of the last record."""
        return self.previous.seq + len(self.epochs)


@dataclasses.dataclass(frozen=True)
class AppendReply:
    """See shard.proto's neighbour, replication.proto."""

    promised: int
    matched: bool = False
    verified: int = 0
    hint: Position = NOTHING
    needs_checkpoint: bool = False
    applied: int = 0


@dataclasses.dataclass(frozen=True)
class Confirm:
    """Asks whether a newer epoch was promised; `round` tells the answers apart."""

    epoch: int
    round: int


@dataclasses.dataclass(frozen=True)
class ConfirmReply:
    """What was promised."""

    promised: int


@dataclasses.dataclass(frozen=True)
class SealReply:
    """Whether it promised, what it has promised else, and its last record on disk."""

    sealed: bool
    promised: int
    last: Position = NOTHING


@dataclasses.dataclass(frozen=True)
class LeadReply:
    """Whether it leads, whether enough members hold its log, and its last record."""

    leading: bool
    held: bool = False
    last: Position = NOTHING


@dataclasses.dataclass(frozen=True)
class ConfigureReply:
    """The newest configuration's epoch."""

    epoch: int


@dataclasses.dataclass(frozen=True)
class ReadReply:
    """A strong read may be answered from any state that holds `seq`; None: this is not the primary."""

    seq: int | None


@dataclasses.dataclass(frozen=True)
class GiveUpReply:
    """The disk that begins anew; empty where nothing is given up, and then why."""

    disk: str
    refusal: str = ""


Reply = AppendReply | ConfirmReply | SealReply | LeadReply | ConfigureReply | ReadReply | GiveUpReply


# -------------------------------------------------------------------------------------------- effects


@dataclasses.dataclass(frozen=True)
class Store:
    """Make it durable before anything that follows."""

    stored: Stored


@dataclasses.dataclass(frozen=True)
class Cut:
    """Remove all records behind `after` from the log, durably."""

    after: int


@dataclasses.dataclass(frozen=True)
class Write:
    """Append the records of the Append under way from `first` on; `synced` tells when they are on disk."""

    first: int


@dataclasses.dataclass(frozen=True)
class Lead:
    """Take office: apply all of the log, and append the start record of `epoch` unless it `resumes`."""

    epoch: int
    resumes: bool = False


@dataclasses.dataclass(frozen=True)
class Open:
    """Take writes: the office was confirmed."""


@dataclasses.dataclass(frozen=True)
class Follow:
    """Leave office: take no writes, tell those who wait that their outcome is unknown.

    Answered with `stopped`, which says how far the log goes.
    """


@dataclasses.dataclass(frozen=True)
class Commit:
    """Everything up to `seq` can never be cut any more: show it."""

    seq: int


@dataclasses.dataclass(frozen=True)
class Send:
    """Send a message. Answers come back by `append_reply` or `confirm_reply`, failures by `unreachable`."""

    to: Member
    message: Append | Confirm


@dataclasses.dataclass(frozen=True)
class Answer:
    """Answer whoever waits."""

    token: Token
    reply: Reply


@dataclasses.dataclass(frozen=True)
class Copy:
    """The log here can't be continued: copy segments from the sender of the Append under way."""


@dataclasses.dataclass(frozen=True)
class GiveUp:
    """Begin anew as another disk that holds nothing: durable first, then the answer, and no other ever."""

    token: Token


Effect = Store | Cut | Write | Lead | Open | Follow | Commit | Send | Answer | Copy | GiveUp
