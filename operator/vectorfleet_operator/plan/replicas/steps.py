"""What may be done to a shard's configuration, as values."""

import dataclasses
from enum import StrEnum

from ... import replication
from .. import actions


class Kind(StrEnum):
    """Why a configuration changes."""

    BEGIN = "Begin"
    PROMOTE = "Promote"
    HAND_OVER = "HandOver"
    JOIN = "Join"
    REPLACE = "Replace"
    DROP = "Drop"
    REMOVE = "Remove"
    RECONFIGURE = "Reconfigure"
    ACCEPT_LOSS = "AcceptLoss"


@dataclasses.dataclass(frozen=True)
class Change:
    """A new configuration under a new epoch.

    The members are those that are wanted; a winner that is none of them stays one.
    """

    kind: Kind
    base: replication.Configuration | None
    """The configuration that it follows; None where the shard begins."""
    members: tuple[replication.Member, ...]
    sealers: tuple[replication.Member, ...]
    """Members of `base` that are asked to seal; where the shard begins, all that are to be members."""
    needed: int
    """How many of them have to."""
    every: bool
    """Whether every member holds a write before it is acknowledged."""
    begins: bool = False
    """Whether the sealed must hold nothing: a shard that begins."""
    prefer: tuple[str, ...] = ()
    """Who is to lead where the choice is free, the best first."""
    insists: bool = False
    """Whether the first of them is to lead, even where others have to be levelled with it for that."""
    for_restart: bool = False
    """Whether the primary's pod is restarted next."""
    why: str = ""

    @property
    def planned(self) -> bool:
        """Whether the shard serves, so that the change has time."""
        return self.kind not in {Kind.BEGIN, Kind.PROMOTE, Kind.ACCEPT_LOSS, Kind.DROP}


@dataclasses.dataclass(frozen=True)
class Tell:
    """Tell replicas of the committed configuration, and its primary whom else to ship the log to."""

    names: tuple[str, ...]
    configuration: replication.Configuration
    learners: tuple[replication.Member, ...] = ()


@dataclasses.dataclass(frozen=True)
class Rebuild:
    """Let a replica give up its data and be filled again."""

    member: replication.Member
    epoch: int
    why: str


@dataclasses.dataclass(frozen=True)
class Adopt:
    """Write down a configuration that replicas know and the VectorShard has lost."""

    configuration: replication.Configuration
    reserved: int
    why: str


@dataclasses.dataclass(frozen=True)
class Reserve:
    """Write down an epoch that replicas have promised and the VectorShard does not know of."""

    epoch: int
    why: str


@dataclasses.dataclass(frozen=True)
class Restart:
    """Delete a replica's pod, so that it comes back, with the newest template."""

    name: str
    uid: str
    why: str
    free: bool = False
    """Whether it serves nobody, or takes part in nothing: it need not wait for others."""
    unplanned: bool = False
    """Whether it is because the replica can't go on, so that its owner should hear of it."""


Step = Change | Rebuild | Adopt | Reserve | Restart


@dataclasses.dataclass(frozen=True)
class Decision:
    """What is to be done for a shard now, and what is not."""

    tell: Tell | None = None
    step: Step | None = None
    refusals: tuple[actions.Refusal, ...] = ()
    """What would be done next, and why it is not done now."""

    @property
    def acts(self) -> bool:
        """Whether there is anything to do."""
        return self.tell is not None or self.step is not None
