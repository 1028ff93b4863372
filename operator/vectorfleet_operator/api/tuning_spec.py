"""What a shard node keeps in memory, builds and merges: bounds of its storage that a manifest may set."""

from pydantic import Field

from . import base

_MIB = 1 << 20
_PREFIX = "VECTORFLEET_TUNING__"


class Tuning(base.Part):
    """Bounds of a shard's storage; what is not given is the shard node's default."""

    growing_rows: int | None = Field(
        default=None,
        ge=100,
        le=1_000_000,
        description="Rows in memory before they are sealed. 8192 where not given.",
    )
    growing_mib: int | None = Field(
        default=None, ge=1, le=4_096, description="The same, in MiB. 16 where not given."
    )
    unindexed_mib: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="MiB of sealed vectors that may wait for a graph while writes go on: more is built at "
        "once and less often, and queries compare with more rows meanwhile. A quarter of that where queries "
        "come and a graph is small enough to take them. 24 where not given.",
    )
    index_min_rows: int | None = Field(
        default=None,
        ge=2,
        le=1_000_000,
        description="Fewer rows than this are searched exactly, without a graph. 1000 where not given.",
    )
    log_retained_mib: int | None = Field(
        default=None,
        ge=0,
        le=1_048_576,
        description="MiB of log that are kept for replicas that were away, so that they need no copy of the "
        "segments; less where the volume is small or filling up. 256 where not given.",
    )
    build_threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Threads of a build. As many as there are cores where not given, one fewer beside "
        "searches.",
    )
    build_yields: bool = Field(
        default=False,
        description="Whether builds have cores only while nobody else in the container wants them.",
    )

    def environment(self) -> dict[str, str]:
        """Return the variables of a shard node that say so, none where nothing is set."""
        numbers = {
            "GROWING_ROWS": self.growing_rows,
            "GROWING_BYTES": _bytes(self.growing_mib),
            "UNINDEXED_BYTES": _bytes(self.unindexed_mib),
            "INDEX_MIN_ROWS": self.index_min_rows,
            "LOG_RETAINED_BYTES": _bytes(self.log_retained_mib),
            "BUILD_THREADS": self.build_threads,
        }
        found = {_PREFIX + name: str(value) for name, value in numbers.items() if value is not None}
        return found | ({_PREFIX + "BUILD_YIELDS": "true"} if self.build_yields else {})


def _bytes(mebibytes: int | None) -> int | None:
    return None if mebibytes is None else mebibytes * _MIB
