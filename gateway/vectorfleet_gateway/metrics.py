"""What the gateway counts and times, for Prometheus.

A label's values must not grow with what callers send: routes are those of the table, and at most 100
namespaces have values of their own.
"""

import functools
import time
from types import TracebackType

from prometheus_client import Counter, Gauge, Histogram

from . import errors, limits

MAX_NAMESPACES = 100
OTHERS = "__other__"

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

SEARCHES = Counter(
    "vector_search_requests", "Queries answered, by HTTP status and namespace.", ("status", "namespace")
)
SEARCH_SECONDS = Histogram(
    "vector_search_duration_seconds",
    "Time from a query's arrival to its answer.",
    ("namespace",),
    buckets=_SECONDS,
)
EMBEDDING_SECONDS = Histogram(
    "embedding_generation_duration_seconds", "Time that the embedder took for a request.", buckets=_SECONDS
)
EMBEDDER_CALLS = Counter(
    "vectorfleet_gateway_embedder_calls",
    "Requests to the embedder, by how they ended: ok, an HTTP status, unreachable, late or unusable.",
    ("outcome",),
)
RERANKER_CALLS = Counter(
    "vectorfleet_gateway_reranker_calls",
    "Requests to the reranker, by how they ended: ok, an HTTP status, unreachable, late or unusable.",
    ("outcome",),
)
RERANKER_SECONDS = Histogram(
    "vectorfleet_gateway_reranker_call_duration_seconds",
    "Time of a request to the reranker.",
    buckets=_SECONDS,
)
EMBEDDED_TEXTS = Counter(
    "vectorfleet_gateway_embedded_texts",
    "Texts that were to be embedded, by where their vectors came from: cache or embedder.",
    ("source",),
)
EMBEDDING_CACHE_BYTES = Gauge(
    "vectorfleet_gateway_embedding_cache_bytes", "Size of the cache of embedded texts."
)
REQUESTS = Counter(
    "vectorfleet_gateway_requests", "Requests answered, by route and HTTP status.", ("route", "status")
)
REQUEST_SECONDS = Histogram(
    "vectorfleet_gateway_request_duration_seconds",
    "Time from a request's arrival to its answer, by route.",
    ("route",),
    buckets=_SECONDS,
)
IN_FLIGHT = Gauge("vectorfleet_gateway_requests_in_flight", "Requests that are not answered yet.")
PARTIAL_ANSWERS = Counter(
    "vectorfleet_gateway_partial_answers", "Queries answered without some shards, as their callers allowed."
)
REFUSALS = Counter(
    "vectorfleet_gateway_refusals",
    "Requests that were told to come again, by what there was too much of: requests, bodies, quota.",
    ("reason",),
)
BODY_BYTES = Gauge(
    "vectorfleet_gateway_body_bytes", "Bytes set aside for bodies and large answers under way."
)
ROWS_WRITTEN = Counter("vectorfleet_gateway_rows_upserted", "Rows of acknowledged upserts.")
BATCH_QUERIES = Histogram(
    "vectorfleet_gateway_search_batch_queries",
    "Queries that went to a shard together.",
    buckets=(1, 2, 4, 8, 16, 32, 64),
)
SHARD_RETRIES = Counter(
    "vectorfleet_gateway_shard_retries", "Calls for a shard's primary that had to be made again.", ("shard",)
)
HEDGES = Counter(
    "vectorfleet_gateway_hedged_reads", "Reads that were asked of a second replica as well.", ("shard",)
)
SHARD_CALLS = Counter(
    "vectorfleet_gateway_shard_calls",
    "Calls to shards, by shard, method and gRPC status.",
    ("shard", "method", "code"),
)
SHARD_SECONDS = Histogram(
    "vectorfleet_gateway_shard_call_duration_seconds",
    "Time that a call to a shard took, by shard and method.",
    ("shard", "method"),
    buckets=_SECONDS,
)

_namespaces: set[str] = set()


def label_of(namespace: str) -> str:
    """Return the label of a namespace: its name, or `__other__` where 100 others came first."""
    name = namespace or limits.DEFAULT_NAMESPACE
    if name not in _namespaces:
        if len(_namespaces) >= MAX_NAMESPACES:
            return OTHERS
        _namespaces.add(name)
    return name


# Finding the series of some labels costs more than counting in it.
@functools.lru_cache(1024)
def _searches(status: int, label: str) -> Counter:
    return SEARCHES.labels(str(status), label)


@functools.lru_cache(1024)
def _search_seconds(label: str) -> Histogram:
    return SEARCH_SECONDS.labels(label)


@functools.lru_cache(1024)
def _requests(route: str, status: int) -> Counter:
    return REQUESTS.labels(route, str(status))


@functools.lru_cache(1024)
def _request_seconds(route: str) -> Histogram:
    return REQUEST_SECONDS.labels(route)


class search:  # noqa: N801  # read as a function: a generator would cost each query more than the counting
    """Count and time a query, by how it ends."""

    __slots__ = ("_label", "_started")

    def __init__(self, namespace: str) -> None:
        self._label = label_of(namespace)
        self._started = time.perf_counter()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        _searches(_status_of(error), self._label).inc()
        _search_seconds(self._label).observe(time.perf_counter() - self._started)


def _status_of(error: BaseException | None) -> int:
    if error is None:
        return 200
    if isinstance(error, errors.ApiError):
        return error.status
    if isinstance(error, Exception):
        return 500
    # Being cancelled is how it shows here that a request's time is up, or that its caller has gone.
    return errors.CallerLeftError.status if error.args == (errors.LEFT,) else 504


def observe_request(route: str, status: int, seconds: float) -> None:
    """Count and time a request."""
    _requests(route, status).inc()
    _request_seconds(route).observe(seconds)


CACHED_ANSWERS = Counter(
    "vectorfleet_gateway_result_cache_lookups",
    "Queries that were looked up in the cache of answers, by result: hit or miss.",
    ("result",),
)
RESULT_CACHE_BYTES = Gauge("vectorfleet_gateway_result_cache_bytes", "Size of the cache of answers.")


def observe_reranker_call(outcome: str, seconds: float) -> None:
    """Count and time a request to the reranker."""
    RERANKER_CALLS.labels(outcome).inc()
    RERANKER_SECONDS.observe(seconds)


def observe_embedder_call(outcome: str, seconds: float) -> None:
    """Count and time a request to the embedder."""
    EMBEDDER_CALLS.labels(outcome).inc()
    EMBEDDING_SECONDS.observe(seconds)


def observe_shard_call(shard: int, method: str, code: str, seconds: float) -> None:
    """Count and time a call to a shard."""
    SHARD_CALLS.labels(str(shard), method, code).inc()
    SHARD_SECONDS.labels(str(shard), method).observe(seconds)
