"""What one gateway takes before it refuses, and what it writes down."""

from enum import StrEnum

from pydantic import Field

from . import base, workload_spec

_KIB, _GIB = 2**10, 2**30
LEAST_BODIES = 32 * 2**20
"""Bytes for all bodies that a gateway has at the least where it is chosen by its memory."""
UNBOUNDED_BODIES = 128 * 2**20
"""Bytes for all bodies of a gateway whose memory nobody has bounded."""
_PART_OF_MEMORY = 4
"""What bodies may have of it: they are in memory as they came, as numbers, and as what is sent on."""


class Limits(base.Part):
    """What one gateway takes at a time; it answers 429 or 413 beyond that."""

    requests: int = Field(
        default=512,
        ge=1,
        le=100_000,
        description="Requests under way at a time, of one gateway. One API key may have half of them, and "
        "writes three quarters of that half and of all.",
    )
    body_size: base.Quantity = Field(
        default="32Mi", description="Longest body of a request, 1Ki to 1Gi; a longer one is answered 413."
    )
    bodies_size: base.Quantity | None = Field(
        default=None,
        description="Bodies, and answers of more than 64 KiB, of all requests under way, of one gateway, 1Ki "
        "to 1Ti; one API key may have half of it. Where not given, a quarter of "
        "gateway.resources.limits.memory and 32Mi at least, or 128Mi where that is not given either.",
    )
    request_timeout_seconds: int = Field(
        default=30,
        ge=1,
        le=600,
        description="Seconds for a request's body to arrive, and again for its answer.",
    )

    def broken_rule(self) -> str:
        """Return which size no gateway takes, or an empty string."""
        if not _KIB <= workload_spec.amount(self.body_size) <= _GIB:
            return "bodySize is 1Ki to 1Gi"
        if self.bodies_size is None:
            return ""
        bodies = workload_spec.amount(self.bodies_size)
        if not _KIB <= bodies <= 1024 * _GIB:
            return "bodiesSize is 1Ki to 1Ti"
        return "" if bodies >= workload_spec.amount(self.body_size) else "bodiesSize is at least bodySize"

    def body_bytes(self) -> int:
        """Return the longest body, in bytes."""
        return int(workload_spec.amount(self.body_size))

    def bodies_bytes(self, resources: workload_spec.Resources) -> int:
        """Return how many bytes all bodies have together, in a container of such resources."""
        if self.bodies_size is not None:
            return int(workload_spec.amount(self.bodies_size))
        if "memory" not in resources.limits:
            return UNBOUNDED_BODIES
        part = workload_spec.amount(resources.limits["memory"]) / _PART_OF_MEMORY
        return int(max(LEAST_BODIES, min(part, 1024 * _GIB)))


class LogLevel(StrEnum):
    """The least that is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class AuditLevel(StrEnum):
    """Which requests are written down. None is not called off, which YAML reads as false."""

    NONE = "none"
    CHANGES = "changes"
    ALL = "all"


class Log(base.Part):
    """What gateways write to standard error."""

    level: LogLevel = Field(default=LogLevel.INFO, description="The least that is logged.")
    audit: AuditLevel = Field(
        default=AuditLevel.CHANGES,
        description="Which requests get a line that says who did what: none, changes (and whoever is "
        "refused), or all. Whatever the level, and never with data.",
    )
