"""What the operator counts of itself, for Prometheus."""

import prometheus_client

RECONCILE_SECONDS = prometheus_client.Histogram(
    "vectorfleet_operator_reconcile_duration_seconds",
    "Duration of one pass over one VectorIndex.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
RECONCILE_ERRORS = prometheus_client.Counter(
    "vectorfleet_operator_reconcile_errors_total",
    "Passes that failed or were cut short, by the step that did and the kind of error.",
    ["step", "error"],
)
INDEXES = prometheus_client.Gauge(
    "vectorfleet_operator_indexes",
    "VectorIndexes that the operator attends to.",
)
CONDITION = prometheus_client.Gauge(
    "vectorfleet_index_condition",
    "Whether a condition of a VectorIndex holds (1) or not (0).",
    ["namespace", "index", "condition"],
)
SHARD_FAILOVERS = prometheus_client.Counter(
    "vectorfleet_shard_failovers_total",
    "Changes of a shard's configuration that were committed, by kind; Promote is an unplanned failover.",
    ["namespace", "index", "shard", "kind"],
)
SHARD_CHANGE_FAILURES = prometheus_client.Counter(
    "vectorfleet_shard_change_failures_total",
    "Changes of a shard's configuration that were begun and not committed, by kind.",
    ["namespace", "index", "shard", "kind"],
)
SHARD_CHANGE_SECONDS = prometheus_client.Histogram(
    "vectorfleet_shard_change_duration_seconds",
    "Duration of committed changes, from the reservation of the epoch on.",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SHARD_EPOCH = prometheus_client.Gauge(
    "vectorfleet_shard_epoch",
    "Epoch of the configuration that is in force.",
    ["namespace", "index", "shard"],
)
SHARD_MEMBERS = prometheus_client.Gauge(
    "vectorfleet_shard_members",
    "Members of the configuration that is in force.",
    ["namespace", "index", "shard"],
)
SHARD_READY_MEMBERS = prometheus_client.Gauge(
    "vectorfleet_shard_ready_members",
    "Members that answer and have caught up.",
    ["namespace", "index", "shard"],
)
SHARD_LAG = prometheus_client.Gauge(
    "vectorfleet_shard_lag_records",
    "Records of the primary that the replica lacks which is farthest behind.",
    ["namespace", "index", "shard"],
)
VECTORS = prometheus_client.Gauge(
    "vectorfleet_index_vectors",
    "Live rows of a VectorIndex, as its shards last reported.",
    ["namespace", "index"],
)
OF_INDEX = (VECTORS, CONDITION, SHARD_EPOCH, SHARD_MEMBERS, SHARD_READY_MEMBERS, SHARD_LAG)
"""What is shown of an index only while it is attended to."""
