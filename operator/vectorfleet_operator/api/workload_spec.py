"""What the pods of an index need: resources, storage, image, a place to run."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from . import base, tuning_spec


class Resources(base.Part):
    """Compute resources of a container, as in a pod."""

    requests: dict[str, base.Quantity] = Field(
        default={},
        max_length=16,
        description='What the scheduler sets aside, such as {"cpu": "1", "memory": "4Gi"}.',
    )
    limits: dict[str, base.Quantity] = Field(
        default={}, max_length=16, description='What the container may not exceed, such as {"memory": "4Gi"}.'
    )


class DeletionPolicy(StrEnum):
    """What becomes of the volumes when the index is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


_CLASS = "the volumes of an index keep their StorageClass"
GROWTH = "volumes can't be made smaller than status.volumeSize, which they have"


class Storage(base.Part):
    """The volume of each replica."""

    size: Annotated[base.Quantity, base.OnlyGrows(GROWTH)] = Field(
        default="10Gi",
        description="Size of each replica's volume. It may grow, where the StorageClass allows volume "
        "expansion: volumes are made larger in place and no pod is restarted. It may not shrink, except to "
        "take back what the volumes could not reach.",
    )
    storage_class_name: Annotated[base.ObjectName | None, base.Immutable(_CLASS)] = Field(
        default=None, description="StorageClass of the volumes; the cluster's default where not given."
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.RETAIN,
        description="Retain: the volumes stay when the index is deleted, and an index of the same name finds "
        "its rows again. Delete: they go with it.",
    )
    tuning: tuning_spec.Tuning = Field(
        default=tuning_spec.Tuning(),
        description="Bounds of a shard's storage. Replicas restart one after the other when they change.",
    )


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Image(base.Part):
    """Overrides of the data plane's image."""

    repository: base.ShortText | None = Field(
        default=None, description="Repository without a tag; the operator's own default where not given."
    )
    tag: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\w][\w.-]*$")] | None = Field(
        default=None, description="Tag; the operator's own default where not given."
    )
    pull_policy: PullPolicy = Field(
        default=PullPolicy.IF_NOT_PRESENT, description="When the image is pulled."
    )

    def reference(self, default: str) -> str:
        """Return the image to run, where `default` is what the operator would run by itself."""
        repository, colon, tag = default.rpartition(":")
        if not colon or "/" in tag:  # a registry's port is no tag
            repository, tag = default, "latest"
        return f"{self.repository or repository}:{self.tag or tag}"


class Toleration(base.Part):
    """A taint that the pods put up with, as in a pod."""

    key: str | None = Field(
        default=None, max_length=317, description="Key of the taint; every key where not given."
    )
    operator: str | None = Field(default=None, max_length=16, description="Exists or Equal.")
    value: str | None = Field(default=None, max_length=63, description="Value of the taint.")
    effect: str | None = Field(
        default=None, max_length=32, description="NoSchedule, PreferNoSchedule or NoExecute."
    )
    toleration_seconds: int | None = Field(
        default=None, description="How long a NoExecute taint is put up with; for ever where not given."
    )


class Scheduling(base.Part):
    """Where pods may run."""

    node_selector: dict[str, str] = Field(
        default={}, max_length=64, description="Labels that a node must carry."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=64, description="Taints that are put up with."
    )
    affinity: base.Opaque | None = Field(default=None, description="Affinity, as in a pod.")
    topology_spread_constraints: tuple[base.Opaque, ...] | None = Field(
        default=None,
        max_length=16,
        description="Spread, as in a pod. Where not given, pods spread over zones and nodes where they can.",
    )
    priority_class_name: base.ObjectName | None = Field(
        default=None, description="PriorityClass of the pods."
    )


_UNITS = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
} | {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", start=1)}


def amount(quantity: str) -> float:
    """Return the number that a quantity stands for: "1.5Gi" is 1610612736.0.

    Raises:
        ValueError: `quantity` is not in Kubernetes's notation.
    """
    match = re.fullmatch(r"([0-9.]+)(?:([eE][+-]?[0-9]+)|([A-Za-z]{0,2}))", quantity)
    if match is None or (match[3] or "") not in _UNITS:
        raise ValueError(f"{quantity!r} is not a quantity")
    return float(match[1] + (match[2] or "")) * _UNITS[match[3] or ""]
