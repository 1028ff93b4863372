"""The VectorShard: one shard of one generation, and who may write to it.

`status.configuration` is the shard's configuration: the one place that says which replica orders writes.
Only the operator changes it, with an optimistic lock on the object, and only to a greater epoch.
"""

from pydantic import Field

from . import base, condition


class VectorShardSpec(base.Part):
    """Which shard this is. Written by the operator alone."""

    cel_rules = (
        base.Rule("self == oldSelf", "a VectorShard is immutable: it is written by the operator alone"),
    )

    index_ref: base.NameReference = Field(description="The VectorIndex that the shard belongs to.")
    generation: base.ShortText = Field(description="The generation that the shard belongs to, such as g1.")
    number: int = Field(ge=0, le=255, description="Number of the shard, from 0.")


class Configuration(base.Part):
    """Who holds a shard and who orders its writes."""

    epoch: int = Field(ge=1, description="Number of the configuration; it only grows.")
    primary: base.ShortText = Field(description="The member that orders writes.")
    members: tuple[base.ShortText, ...] = Field(
        min_length=1, max_length=9, description="The replicas whose disks count for a quorum."
    )


class VectorShardStatus(base.Observed):
    """The shard as the operator sees it."""

    configuration: Configuration | None = Field(
        default=None, description="The configuration that is in force."
    )
    reserved: int = Field(default=0, ge=0, description="The greatest epoch that was handed out.")
    rows: int = Field(default=0, ge=0, description="Live rows, as last reported.")
    seq: int = Field(default=0, ge=0, description="Position in the shard's log, as last reported.")
    conditions: tuple[condition.Condition, ...] = Field(
        default=(), description="Ready: the shard serves; and what it has reported, such as MemoryPressure."
    )


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
