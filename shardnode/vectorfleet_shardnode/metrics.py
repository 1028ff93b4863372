"""What Prometheus may know of a shard node; `Collector` asks a running service for its present state."""

from collections.abc import Callable, Iterable

import prometheus_client
from prometheus_client import core, registry

from .api import shard_pb2

MAX_NAMESPACES = 100
OTHER_NAMESPACES = "__other__"
DEFAULT_NAMESPACE = "__default__"
"""What the empty namespace is called, here as in the gateway's metrics."""

FSYNC_SECONDS = prometheus_client.Histogram(
    "vectorfleet_log_fsync_seconds",
    "Time of one group commit's fsync.",
    buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0),
)
LOG_BYTES = prometheus_client.Counter("vectorfleet_log_bytes", "Bytes appended to the log.")
TORN_BYTES = prometheus_client.Counter(
    "vectorfleet_log_torn_bytes", "Bytes of torn tails that were cut at start."
)
LOG_CUTS = prometheus_client.Counter(
    "vectorfleet_log_cuts", "Times that records which were never committed were cut off the log's end."
)
BUILD_SECONDS = prometheus_client.Histogram(
    "vectorfleet_segment_build_seconds",
    "Wall time to build one sealed segment, by kind: flush or merge.",
    ["kind"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
)
BUILT_ROWS = prometheus_client.Counter(
    "vectorfleet_segment_built_rows", "Rows written into sealed segments.", ["kind"]
)
BUILT_BYTES = prometheus_client.Counter(
    "vectorfleet_segment_built_bytes",
    "Bytes of the files of sealed segments that were written here.",
    ["kind"],
)
FETCHED_BYTES = prometheus_client.Counter(
    "vectorfleet_segment_fetched_bytes",
    "Bytes of segments that were fetched from another replica that built them.",
)
COPIED_BYTES = prometheus_client.Counter(
    "vectorfleet_segment_copied_bytes",
    "Bytes of segments that a replica was filled with, by way: sent by its primary, or kept of its own.",
    ["way"],
)
BUILD_FAILURES = prometheus_client.Counter(
    "vectorfleet_segment_build_failures", "Segment builds that failed."
)
RPC_SECONDS = prometheus_client.Histogram(
    "vectorfleet_shard_rpc_seconds",
    "Time of one call of the shard's API, by method and status.",
    ["method", "status"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)

State = Callable[[], tuple[shard_pb2.ReportReply, dict[str, int]]]
"""Returns a shard's report and its live rows by namespace."""


class Collector(registry.Collector):
    """Shows a shard's state as gauges, computed when Prometheus asks."""

    def __init__(self, state: State) -> None:
        self._state = state

    def describe(self) -> Iterable[core.Metric]:
        """Return nothing, so that several shards of one process may register."""
        return ()

    def collect(self) -> Iterable[core.Metric]:
        """Return the gauges."""
        report, namespaces = self._state()
        rows = core.GaugeMetricFamily("vector_index_size_total", "Live rows.", labels=["namespace"])
        for namespace, count in bounded(namespaces).items():
            rows.add_metric([namespace], count)
        yield rows
        for name, text, value in (
            (
                "vectorfleet_shard_unindexed_rows",
                "Live rows that wait for an ANN index.",
                report.unindexed_rows,
            ),
            ("vectorfleet_shard_dead_rows", "Rows of sealed segments that are no more.", report.dead_rows),
            ("vectorfleet_shard_segments", "Sealed segments.", report.segments),
            (
                "vectorfleet_shard_memory_limit_bytes",
                "Memory that the shard may use, 0 where there is no limit.",
                report.memory_limit_bytes,
            ),
            (
                "vectorfleet_shard_memory_used_bytes",
                "Memory counted against the limit.",
                report.memory_used_bytes,
            ),
            ("vectorfleet_shard_disk_bytes", "Bytes of the shard's files.", report.disk_bytes),
            ("vectorfleet_shard_disk_free_bytes", "Bytes free on its volume.", report.disk_free_bytes),
            ("vectorfleet_shard_building", "1 while a segment is being built.", int(report.building)),
            ("vectorfleet_shard_writable", "1 while writes are taken.", int(not report.problem)),
            ("vectorfleet_shard_seq", "Seq of the last durable write.", report.position.seq),
        ):
            yield core.GaugeMetricFamily(name, text, value=float(value))


def bounded(namespaces: dict[str, int]) -> dict[str, int]:
    """Keep the largest 100 namespaces as labels, and add up the rest under `__other__`."""
    ranked = sorted(namespaces.items(), key=lambda item: (-item[1], item[0]))
    kept = {name or DEFAULT_NAMESPACE: count for name, count in ranked[:MAX_NAMESPACES]}
    if rest := sum(count for _, count in ranked[MAX_NAMESPACES:]):
        kept[OTHER_NAMESPACES] = rest
    return kept
