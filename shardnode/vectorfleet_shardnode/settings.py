"""How a shard node is configured: environment variables with the prefix VECTORFLEET_, and storage bounds."""

from pathlib import Path

import pydantic
import pydantic_settings


class Tuning(pydantic.BaseModel):
    """Bounds of the storage; each can be set as VECTORFLEET_TUNING__<NAME>."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    growing_rows: int = pydantic.Field(
        default=8_192, ge=1, description="Rows in memory before they are sealed."
    )
    growing_bytes: int = pydantic.Field(default=16 << 20, ge=1, description="The same, in bytes.")
    log_file_bytes: int = pydantic.Field(
        default=64 << 20, ge=1, description="Size at which a log file is full."
    )
    log_retained_bytes: int = pydantic.Field(
        default=256 << 20,
        ge=0,
        description=(
            "Of log files that segments cover, how many bytes are kept for replicas that were away; "
            "less where the volume is small or filling up."
        ),
    )
    copy_bytes_per_second: int = pydantic.Field(
        default=64 << 20,
        ge=1 << 20,
        description=(
            "Pace at which segments are copied from another replica, and at which all replicas together copy "
            "from this one."
        ),
    )
    digest_every: int = pydantic.Field(
        default=4_096,
        ge=0,
        description="Records between digests of the rows, which replicas compare; 0 for none.",
    )
    digest_rest_seconds: float = pydantic.Field(
        default=10.0,
        ge=0,
        description="Pause in writes after which there is a digest too, however few records there were.",
    )
    unindexed_bytes: int = pydantic.Field(
        default=24 << 20,
        ge=1,
        description=(
            "Sealed vectors that may wait for a graph while writes go on; a quarter of that where the shard "
            "was searched in the last ten seconds and a graph is small enough to take them."
        ),
    )
    index_min_rows: int = pydantic.Field(
        default=1_000, ge=2, description="Fewer rows than this are searched exactly, without a graph."
    )
    build_anyway_seconds: float = pydantic.Field(
        default=60.0,
        ge=0,
        description="How long a follower waits for segments of its primary before it merges its own.",
    )
    settle_seconds: float = pydantic.Field(
        default=0.5, ge=0, description="Pause in writes that counts as rest."
    )
    index_after_seconds: float = pydantic.Field(
        default=30.0, ge=0, description="How long sealed rows wait for a graph at most while writes go on."
    )
    stale_share: float = pydantic.Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of rows, dead or outside the largest segment, above which rest merges segments.",
    )
    build_threads: int = pydantic.Field(
        default=0,
        ge=0,
        description=(
            "Threads of a build; 0 for one for each core that the cgroup allows, one fewer where the shard "
            "was searched in the last ten seconds."
        ),
    )
    build_niceness: int = pydantic.Field(
        default=10, ge=0, le=19, description="Niceness of the builder process."
    )
    build_yields: bool = pydantic.Field(
        default=False,
        description=(
            "Whether the builder has cores only while nobody else wants them (SCHED_IDLE); one that gets "
            "next to nothing is started again with its niceness alone."
        ),
    )
    reserved_bytes: int = pydantic.Field(
        default=64 << 20, ge=0, description="Free space on the volume below which upserts are refused."
    )

    disk_soft_share: float = pydantic.Field(
        default=0.9,
        gt=0,
        le=1,
        description=(
            "Share of the volume that may be full before upserts are refused to keep room for a merge."
        ),
    )
    memory_soft_share: float = pydantic.Field(
        default=0.85,
        gt=0.1,
        le=0.9,
        description="Share of the memory limit in use above which upserts are refused.",
    )


class Settings(pydantic_settings.BaseSettings):
    """What the process needs to know, see the fields' descriptions."""

    model_config = pydantic_settings.SettingsConfigDict(
        env_prefix="VECTORFLEET_", env_nested_delimiter="__", frozen=True
    )

    config: Path = pydantic.Field(
        default=Path("/etc/vectorfleet/config/index.json"), description="IndexConfig."
    )
    shard: int = pydantic.Field(ge=0, description="Which shard this node serves.")
    data_dir: Path = pydantic.Field(default=Path("/var/lib/vectorfleet"), description="Its volume.")
    host: str = pydantic.Field(default="127.0.0.1", description="Address to listen on.")
    grpc_port: int = pydantic.Field(default=7400, ge=0, le=65535)
    metrics_port: int = pydantic.Field(default=9090, ge=0, le=65535)
    log_level: str = "INFO"
    log_format: str = pydantic.Field(default="json", pattern="^(json|text)$")
    internal_token_file: Path = pydantic.Field(
        default=Path("/etc/vectorfleet/internal/token"), description="What callers must know, without TLS."
    )
    internal_tls_dir: Path | None = pydantic.Field(
        default=None, description="tls.crt, tls.key and ca.crt, for mutual TLS in place of the token."
    )
    pod_name: str = pydantic.Field(default="", description="Its own name, as its address begins.")
    replicated: bool = pydantic.Field(
        default=False,
        description="Whether the shard has an operator, and may have other replicas: it waits to be told so.",
    )
    hosts_file: Path | None = pydantic.Field(
        default=None, description="Where other replicas listen, in the form of /etc/hosts, before DNS."
    )
    search_threads: int = pydantic.Field(
        default=0, ge=0, description="Searches at a time; 0 for one for each core that the cgroup allows."
    )
    memory_bytes: int | None = pydantic.Field(
        default=None,
        ge=0,
        description="Memory limit; 0 for none. Unset: that of the cgroup, as Kubernetes sets it.",
    )
    disk_retry_seconds: float = pydantic.Field(
        default=60.0, gt=0, description="After how long a start is tried again whose disk failed."
    )
    tuning: Tuning = Tuning()
