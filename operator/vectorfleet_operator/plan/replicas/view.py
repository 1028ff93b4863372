"""What one look saw of a shard: its configuration, each replica's own word, its pods."""

import dataclasses
from collections.abc import Mapping

from ... import replication

PATIENCE = 3
"""Looks in a row that a replica may miss before its silence counts."""


@dataclasses.dataclass(frozen=True)
class Heard:
    """What was last heard of a replica."""

    state: replication.ReplicaState | None = None
    """Its newest answer, None where there never was one."""
    missed: int = 0
    """Looks in a row that it has not answered since."""
    damage: replication.Damage | None = None
    """Why it answered the last look with nothing else: it takes part as little as one that is silent."""

    inability: replication.Inability | None = None
    """Why it answered the last look with nothing else, though its data may be whole: the same."""

    committed_before: int | None = None
    """The seq up to which the same disk told of commits when it answered before, None where it did not."""

    @property
    def answers(self) -> bool:
        """Whether it answered the last look."""
        return self.state is not None and not self.missed

    @property
    def present(self) -> bool:
        """Whether it answered lately: one look that it missed is no news."""
        serves = self.damage is None and self.inability is None
        return self.state is not None and serves and self.missed < PATIENCE

    def after(self, told: replication.Told | None) -> "Heard":
        """Return what is known after one more look; silence takes back nothing that was said."""
        if isinstance(told, replication.ReplicaState):
            before = self.state if self.state is not None and self.state.disk == told.disk else None
            return Heard(told, committed_before=before.committed if before is not None else None)
        damage, inability = self.damage, self.inability
        if told is not None:
            damage = told if isinstance(told, replication.Damage) else None
            inability = told if isinstance(told, replication.Inability) else None
        return Heard(self.state, self.missed + 1, damage, inability)

    @property
    def disk(self) -> str:
        """The disk that was last seen under its name, empty where none was."""
        if self.damage is not None:
            return self.damage.disk
        return self.state.disk if self.state is not None else ""


NEVER = Heard()
"""Of a replica that never said anything."""


@dataclasses.dataclass(frozen=True)
class PodState:
    """The pod of a replica, as the cluster tells of it."""

    uid: str
    ready: bool = False
    terminating: bool = False
    failed: bool = False
    stale: bool = False
    """It runs an older template than its StatefulSet has."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the spec asks of a shard, and what its owner has noted on the VectorShard."""

    replicas: tuple[replication.Member, ...]
    """Names and addresses of the replicas, by ordinal; their disks are not known to the spec."""
    every: bool = False
    """Whether every member holds a write before it is acknowledged."""
    paused: bool = False
    primary: str = ""
    """The replica that a person wants to lead, empty where none is named."""
    accepted_loss: str = ""
    """The survivor and epoch by which a person accepts that data is lost, as "name@epoch"."""

    @property
    def names(self) -> tuple[str, ...]:
        """The replicas' names, by ordinal."""
        return tuple(one.name for one in self.replicas)


@dataclasses.dataclass(frozen=True)
class ShardView:
    """All that a decision on a shard stands on."""

    number: int
    wanted: Wanted
    committed: replication.Configuration | None
    """VectorShard.status.configuration."""
    reserved: int
    """The greatest epoch that was handed out."""
    heard: Mapping[str, Heard]
    """By name, of all that are wanted or members."""
    pods: Mapping[str, PodState] = dataclasses.field(default_factory=dict)
    """By name; one that is missing has no pod."""
    lost_claims: frozenset[str] = frozenset()
    """Names whose volume claim is being deleted."""
    rest_seconds: float = 0.0
    """For how long nothing more is to be tried, after attempts that failed or changes in quick succession."""
    restart_rests: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """By name: for how many seconds a replica that needed a restart is not restarted again."""

    def state(self, name: str) -> replication.ReplicaState | None:
        """Return what a replica said lately, None where it is silent."""
        heard = self.heard.get(name, NEVER)
        return heard.state if heard.present else None

    def missed(self, name: str) -> int:
        """Return the looks in a row that a replica has not answered."""
        return self.heard.get(name, NEVER).missed

    def is_alive(self, member: replication.Member) -> bool:
        """Return whether a member answers, and is the disk that is meant."""
        state = self.state(member.name)
        return state is not None and state.disk == member.disk

    def is_lost(self, member: replication.Member) -> bool:
        """Return whether a member's disk is known to be gone: another one was seen under its name."""
        seen = self.heard.get(member.name, NEVER).disk
        return bool(seen) and seen != member.disk

    def damage(self, name: str) -> replication.Damage | None:
        """Return what a replica says of its data, None where nothing is wrong with it, or not known to be."""
        return self.heard.get(name, NEVER).damage

    def is_damaged(self, member: replication.Member) -> bool:
        """Return whether a member's data is damaged, so that it is no copy."""
        damage = self.damage(member.name)
        return damage is not None and damage.disk in ("", member.disk)

    def inability(self, name: str) -> replication.Inability | None:
        """Return why a replica serves nothing whose data may be whole, None where it says nothing like it."""
        return self.heard.get(name, NEVER).inability

    def refuses(self, name: str) -> bool:
        """Return whether a replica says of itself that it serves nothing, whatever the cause."""
        return self.damage(name) is not None or self.inability(name) is not None

    def alive(self) -> tuple[replication.Member, ...]:
        """Return the members that answer."""
        members = self.committed.members if self.committed else ()
        return tuple(member for member in members if self.is_alive(member))

    def survivors(self) -> tuple[replication.Member, ...]:
        """Return the members whose disks are not known to be gone."""
        members = self.committed.members if self.committed else ()
        return tuple(member for member in members if not self.is_lost(member))

    def sound(self) -> tuple[replication.Member, ...]:
        """Return the members whose data is not known to be gone or damaged."""
        return tuple(member for member in self.survivors() if not self.is_damaged(member))

    def address(self, name: str) -> str:
        """Return where a replica listens, empty where that is not known."""
        known = (*self.wanted.replicas, *(self.committed.members if self.committed else ()))
        return next((one.address for one in known if one.name == name and one.address), "")

    def learners(self) -> tuple[replication.Member, ...]:
        """Return the replicas that are wanted, answer, and are no members: their disks as they say."""
        members = {(one.name, one.disk) for one in self.committed.members} if self.committed else set()
        disks = {name: state.disk for name in self.wanted.names if (state := self.state(name)) is not None}
        return tuple(
            replication.Member(name, disk, self.address(name))
            for name, disk in disks.items()
            if disk and (name, disk) not in members and name not in self.lost_claims
        )

    @property
    def speaks(self) -> bool:
        """Whether any replica tells of its part: those of a version before replication do not."""
        return any(one.state or one.damage or one.inability for one in self.heard.values())
