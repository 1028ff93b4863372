"""Conditions in the form of metav1.Condition.

`Ready` is what people and `kubectl wait` look at; `Reconciling` and `Stalled` are the two abnormal-true
conditions by which kstatus, Flux and Argo CD tell progress from a dead end. There is no phase. What shards
report of themselves, such as MemoryPressure, is abnormal-true as well; once it was True it stays, as False.
"""

import datetime
from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field

from . import base

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
OWN = frozenset({READY, RECONCILING, STALLED})
"""Types that the operator decides; all others are what shards report."""


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(base.Observed):
    """One aspect of an object's state."""

    type: str = Field(
        max_length=316,
        pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        description="Ready, Reconciling or Stalled; or what shards report, such as MemoryPressure.",
    )
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str = Field(min_length=1, max_length=1024, description="One word, for programs.")
    message: str = Field(max_length=32_768, description="A sentence, for people.")
    observed_generation: int = Field(
        default=0, ge=0, description="Generation of the object that the condition speaks of."
    )
    last_transition_time: str = Field(
        default="", description="When the status last changed.", json_schema_extra={"format": "date-time"}
    )

    @property
    def holds(self) -> bool:
        """Whether the status is True."""
        return self.status is ConditionStatus.TRUE


def build_condition(kind: str, holds: bool, reason: str, message: str) -> Condition:
    """Return a condition that has no time yet; see `stamp`."""
    status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
    return Condition(type=kind, status=status, reason=reason, message=message)


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Return the condition of that type, or None."""
    return next((one for one in conditions if one.type == kind), None)


def stamp(
    fresh: Iterable[Condition], before: Iterable[Condition], generation: int, now: datetime.datetime
) -> tuple[Condition, ...]:
    """Return `fresh` with generation and times; a time moves only where the status does."""
    times = {(old.type, old.status): old.last_transition_time for old in before}
    moment = now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return tuple(
        new.model_copy(
            update={
                "observed_generation": generation,
                "last_transition_time": times.get((new.type, new.status)) or moment,
            }
        )
        for new in fresh
    )
