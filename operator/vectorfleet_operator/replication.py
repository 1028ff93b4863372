"""What the replicas of a shard and the operator tell each other, as values. PURE.

The words and the rules are those of docs/replication.md. A member is a disk: two of the same name and with
different disks are two members.
"""

import dataclasses
from enum import StrEnum


class Role(StrEnum):
    """A replica's part in its shard, by its own word."""

    NEW = "New"
    PRIMARY = "Primary"
    FOLLOWER = "Follower"
    LEARNER = "Learner"
    ELECT = "Elect"
    ALONE = "Alone"


@dataclasses.dataclass(frozen=True, order=True)
class Position:
    """A place in a shard's log; they compare by epoch, then seq."""

    epoch: int = 0
    seq: int = 0


@dataclasses.dataclass(frozen=True)
class Member:
    """A disk that holds a shard."""

    name: str
    """Of the replica: its pod."""
    disk: str
    """Drawn when the data folder was set up."""
    address: str = dataclasses.field(default="", compare=False)
    """Where it listens for gRPC, as host:port."""


@dataclasses.dataclass(frozen=True)
class Configuration:
    """Who holds a shard and who orders its writes."""

    epoch: int
    primary: str
    """A member's name."""
    members: tuple[Member, ...]
    write_quorum: int
    """How many members hold a record before it is acknowledged."""

    @property
    def seal_quorum(self) -> int:
        """How many members have to be sealed, so that each write quorum has one of them."""
        return len(self.members) - self.write_quorum + 1

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names."""
        return tuple(member.name for member in self.members)

    def member(self, name: str) -> Member | None:
        """Return the member of that name, None where there is none."""
        return next((member for member in self.members if member.name == name), None)


def write_quorum(members: int, *, every: bool) -> int:
    """Return W for a number of members: a majority, or all of them."""
    return members if every else members // 2 + 1


@dataclasses.dataclass(frozen=True)
class Follower:
    """What a primary knows of a replica that it ships its log to."""

    name: str
    disk: str
    verified: int
    """The seq up to which its log equals the primary's."""
    applied: int
    silence_seconds: float
    copying: bool
    """It copies segments first."""


@dataclasses.dataclass(frozen=True)
class Digest:
    """A fold over all rows that live after a record: equal on all replicas."""

    at: Position
    rows: int
    count: int


@dataclasses.dataclass(frozen=True)
class ReplicaState:
    """What a replica says of its part in the shard; see ReplicaState in replication.proto."""

    name: str
    disk: str
    role: Role
    promised: int = 0
    last: Position = Position()
    committed: int = 0
    configuration: Configuration | None = None
    """The newest that the replica knows to be committed."""
    followers: tuple[Follower, ...] = ()
    primary_silence_seconds: float = 0.0
    leaving: bool = False
    acknowledges: bool = False
    quorum_silence_seconds: float = 0.0
    digests: tuple[Digest, ...] = ()
    caught_up: bool = False
    problem: str = ""
    no_room: str = ""
    """Why its disk takes nothing that grows, empty where it does."""
    unreadable: str = ""
    """Why it can't read what its primary copies to it, empty where it can: a newer version wrote that."""
    no_room_to_copy: str = ""
    """Why its volume can't take the segments that it has to copy, empty where it can."""
    diverged: bool = False
    """Its committed records are not those of its primary: they were given up when a loss was accepted."""
    needs_restart: bool = False
    """It takes part in nothing until a restart; `problem` says why."""

    @property
    def is_empty(self) -> bool:
        """Whether it holds no record. It may have been told a configuration all the same."""
        return not self.last.seq

    @property
    def known_epoch(self) -> int:
        """The epoch of the newest configuration that it knows to be committed, 0 where it knows none."""
        return self.configuration.epoch if self.configuration is not None else 0


@dataclasses.dataclass(frozen=True)
class Damage:
    """What a replica says instead that serves nothing, because its data is damaged."""

    disk: str
    """The disk that holds the data; empty where not even that can be read."""
    reason: str


class Cause(StrEnum):
    """Why a replica serves nothing whose data is not known to be damaged; see `refusal` in shard.proto."""

    DISK_FAILED = "DiskFailed"
    UNKNOWN_FORMAT = "UnknownFormat"
    TOO_LARGE = "TooLarge"


@dataclasses.dataclass(frozen=True)
class Inability:
    """What a replica says instead that serves nothing, though it may have all of its data."""

    cause: str
    """One of `Cause`, or what a newer program says."""
    reason: str


Told = ReplicaState | Damage | Inability
"""What a replica answers that is asked what it is."""


@dataclasses.dataclass(frozen=True)
class Sealed:
    """A replica's answer to being sealed."""

    sealed: bool
    promised: int
    last: Position
    disk: str


@dataclasses.dataclass(frozen=True)
class Led:
    """A replica's answer to being told to lead."""

    leading: bool
    """False: it is not sealed for this epoch any more."""
    held: bool
    """Enough members of the new configuration hold its log and its start record."""
    last: Position
