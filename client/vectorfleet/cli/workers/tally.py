"""What the primary counts of its workers, for Prometheus."""

from prometheus_client import Counter, Gauge

WORKERS = Gauge("vectorfleet_workers", "Workers that take connections; the process that was started is none.")
STARTS = Counter("vectorfleet_worker_starts", "Workers that were started.")
CONNECTIONS = Counter(
    "vectorfleet_worker_connections",
    "Connections, by who got them: 0 is the process that was started.",
    ("worker",),
)
SILENCES = Counter(
    "vectorfleet_worker_silences", "Times that a worker did not tell its metrics in time.", ("worker",)
)
