"""How an index moves: rollout to a new generation, start from a backup, archive to an object store."""

from enum import StrEnum

from pydantic import Field

from . import base


class Approval(StrEnum):
    """Who lets a rollout take its next step."""

    AUTO = "Auto"
    MANUAL = "Manual"


class Validation(base.Part):
    """What a new generation has to reach before it serves."""

    min_overlap: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="Least share, 0 to 1, of the old generation's results that the new one returns too.",
    )


_ASCENDING = "steps must grow, and end with 100"


class Rollout(base.Part):
    """How reads move from one generation to the next."""

    cel_rules = (
        base.Rule(
            "self.steps[size(self.steps) - 1] == 100"
            " && self.steps.all(a, self.steps.exists_one(b, a == b)) && self.steps.isSorted()",
            _ASCENDING,
        ),
    )

    steps: tuple[int, ...] = Field(
        default=(10, 25, 50, 75, 100),
        min_length=1,
        max_length=20,
        description="Shares of the reads, in percent, that the new generation gets one after the other.",
    )
    hold_seconds: int = Field(default=600, ge=0, le=604_800, description="How long each step is watched.")
    approval: Approval = Field(
        default=Approval.AUTO, description="Auto, or Manual: each step waits for a person."
    )
    validation: Validation = Field(default=Validation(), description="What the new generation has to reach.")
    keep_old_seconds: int = Field(
        default=86_400, ge=0, le=31_536_000, description="How long the old generation is kept to go back to."
    )

    def broken_rule(self) -> str:
        """Return why the steps are none, or an empty string."""
        return "" if sorted(set(self.steps)) == list(self.steps) and self.steps[-1] == 100 else _ASCENDING


class Restore(base.Part):
    """A backup to start from."""

    backup_name: base.ObjectName = Field(
        description="Name of a VectorIndexBackup in the namespace of the index."
    )


class Bootstrap(base.Part):
    """What a new index starts with."""

    restore: Restore = Field(description="The backup that the first generation is filled from.")


class ObjectStore(base.Part):
    """A bucket with S3's API."""

    bucket: base.ShortText = Field(description="Name of the bucket.")
    prefix: str = Field(default="", max_length=512, description="Prefix of every object's key.")
    region: base.ShortText | None = Field(default=None, description="Region of the bucket.")
    endpoint: str | None = Field(
        default=None,
        max_length=2048,
        pattern=r"^https?://[^\s]+$",
        description="URL of a store that is not Amazon's.",
    )
    secret_ref: base.NameReference | None = Field(
        default=None, description="Secret with the entries access-key-id and secret-access-key."
    )


class Backup(base.Part):
    """Where backups and the archived log of the index go."""

    object_store: ObjectStore = Field(description="The bucket.")
    archive_log: bool = Field(
        default=False, description="Whether the log is archived as it grows, for recovery to a point in time."
    )
