"""The VectorShard: one shard of one generation, and who may write to it.

`status.configuration` is the shard's configuration: the one place that says which replica orders writes.
Only the operator changes it, with an optimistic lock on the object, and only to a greater epoch.
"""

from typing import Any

from pydantic import Field, field_validator

from .. import replication
from . import base, condition


class VectorShardSpec(base.Part):
    """Which shard this is. Written by the operator alone."""

    cel_rules = (
        base.Rule("self == oldSelf", "a VectorShard is immutable: it is written by the operator alone"),
    )

    index_ref: base.NameReference = Field(description="The VectorIndex that the shard belongs to.")
    generation: base.ShortText = Field(description="The generation that the shard belongs to, such as g1.")
    number: int = Field(ge=0, le=255, description="Number of the shard, from 0.")


class Member(base.Part):
    """A disk that holds the shard. A replica that lost its volume is another member."""

    name: base.ShortText = Field(description="The replica: its pod.")
    disk: base.ShortText = Field(description="Drawn when the volume was set up.")


class Configuration(base.Part):
    """Who holds a shard and who orders its writes. Each change of any field is a new epoch."""

    epoch: int = Field(ge=1, description="Number of the configuration; it only grows.")
    primary: base.ShortText = Field(description="The member that orders writes.")
    members: tuple[Member, ...] = Field(
        min_length=1, max_length=10, description="The disks that count for a quorum."
    )
    write_quorum: int = Field(
        ge=1, le=10, description="How many members hold a write on disk before it is acknowledged."
    )

    @staticmethod
    def of(value: replication.Configuration) -> "Configuration":
        """Return what is written down of a configuration."""
        members = tuple(Member(name=one.name, disk=one.disk) for one in value.members)
        return Configuration(
            epoch=value.epoch, primary=value.primary, members=members, write_quorum=value.write_quorum
        )


class ReplicaStatus(base.Observed):
    """One replica, as last reported."""

    name: str = Field(description="The replica: its pod.")
    disk: str = Field(default="", description="The disk that it has.")
    role: str = Field(
        default="",
        description="New, Primary, Follower, Learner or Elect; Silent: no answer; Damaged; Unable to serve.",
    )
    member: bool = Field(default=False, description="Whether it counts for a quorum.")
    seq: int = Field(default=0, ge=0, description="The last record of its log.")
    lag: int = Field(default=0, ge=0, description="Records of the primary that it lacks.")


class VectorShardStatus(base.Observed):
    """The shard as the operator sees it."""

    configuration: Configuration | None = Field(
        default=None, description="The configuration that is in force."
    )
    reserved: int = Field(default=0, ge=0, description="The greatest epoch that was handed out.")
    member_count: int = Field(default=0, ge=0, description="Members of the configuration.")
    ready_members: int = Field(default=0, ge=0, description="Members that answer and have caught up.")
    replicas: tuple[ReplicaStatus, ...] = Field(default=(), description="Each replica, as last reported.")
    rows: int = Field(default=0, ge=0, description="Live rows, as last reported.")
    seq: int = Field(default=0, ge=0, description="Position in the shard's log, as last reported.")
    conditions: tuple[condition.Condition, ...] = Field(
        default=(),
        description="Ready: the shard serves; Degraded, QuorumLost, ShardLost, ReplicaDiverged, "
        "ReplicaDamaged, ReplicaUnable; and what its replicas have reported, such as MemoryPressure.",
    )

    @field_validator("configuration", mode="before")
    @classmethod
    def _known_form(cls, value: Any) -> Any:
        """Pass over a configuration of the time before replication: its replicas say what they hold."""
        members = value.get("members") if isinstance(value, dict) else None
        return None if members and isinstance(members[0], str) else value


class ShardMetadata(base.Observed):
    """The parts of an object's metadata that decisions need."""

    name: str
    namespace: str = "default"
    resource_version: str = ""
    generation: int = 0


class VectorShard(base.Observed):
    """One shard of a VectorIndex: its configuration, as an object that one can look at."""

    metadata: ShardMetadata
    spec: VectorShardSpec = Field(description="Which shard this is.")
    status: VectorShardStatus = Field(
        default=VectorShardStatus(),
        description="The shard as the operator sees it; written by the operator alone.",
    )
