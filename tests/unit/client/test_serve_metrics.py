"""The metrics of several processes as one's: what adds up, and what does not."""

import prometheus_client
import pytest
from prometheus_client.openmetrics import exposition

from vectorfleet.cli.workers import summing


@pytest.fixture
def process():
    """Return a function that makes the metrics of a process that counted so much."""

    def make(queries, labels=("a",), under_way=0, rows=0):
        registry = prometheus_client.CollectorRegistry()
        counter = prometheus_client.Counter("vector_search_requests", "Q.", ["namespace"], registry=registry)
        histogram = prometheus_client.Histogram(
            "vectorfleet_x_seconds", "T.", ["route"], registry=registry, buckets=(1, 2)
        )
        for label in labels:
            counter.labels(label).inc(queries)
            histogram.labels(label).observe(queries)
        for name, value in (
            ("vectorfleet_gateway_requests_in_flight", under_way),
            ("vector_index_size_total", rows),
            ("process_open_fds", 5),
        ):
            prometheus_client.Gauge(name, "G.", registry=registry).set(value)
        return registry

    return make


def told(registry):
    """Return what a process's listener shows, read again."""
    return summing.read(prometheus_client.generate_latest(registry).decode())


def values(families):
    """Return values by name and labels' values; without the times at which series began."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items(), reverse=True))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_counts_add_up_by_name_and_labels(process):
    """Counters, all of a histogram, and what is under way; a label that one alone has is kept."""
    own = process(1, ("a", "b"), under_way=2)
    total = values(summing.add(own.collect(), [told(process(3, ("b", "c"), under_way=1))]))
    assert total["vector_search_requests_total", "a"] == 1
    assert total["vector_search_requests_total", "b"] == 4
    assert total["vector_search_requests_total", "c"] == 3
    buckets = [total["vectorfleet_x_seconds_bucket", "b", le] for le in ("1.0", "2.0", "+Inf")]
    assert buckets == [1, 1, 2]
    assert total["vectorfleet_x_seconds_count", "b"] == 2
    assert total["vectorfleet_x_seconds_sum", "b"] == 4
    assert total["vectorfleet_gateway_requests_in_flight",] == 3


def test_what_is_of_one_process_or_of_the_shard_is_not_added(process):
    """Rows are there once, and each process has files of its own."""
    total = values(summing.add(process(1, rows=7).collect(), [told(process(1, rows=7))]))
    assert total["vector_index_size_total",] == 7
    assert total["process_open_fds",] == 5


def test_a_total_can_be_shown_and_read_again(process):
    """As Prometheus reads it, with each family once."""
    parts = [told(process(2, ("b",))), told(process(4, ("c",)))]
    whole = prometheus_client.CollectorRegistry()
    whole.collect = lambda: summing.add(process(1).collect(), parts)
    text = prometheus_client.generate_latest(whole).decode()
    assert values(summing.read(text)) == values(whole.collect())
    assert text.count("# TYPE vector_search_requests_total counter") == 1
    other = exposition.generate_latest(whole).decode()
    assert 'vector_search_requests_total{namespace="c"} 4.0' in other


def test_the_past_is_what_only_grows(process):
    """A process that ended has nothing under way."""
    past = values(summing.counts(told(process(2, under_way=3))))
    assert past["vector_search_requests_total", "a"] == 2
    assert ("vectorfleet_gateway_requests_in_flight",) not in past
    assert values(summing.add([], [summing.counts(told(process(2))), told(process(3))])) == values(
        summing.add([], [told(process(3)), summing.counts(told(process(2)))])
    )


def test_a_value_is_found_by_name(process):
    """None where there is none of that name."""
    families = told(process(1))
    assert summing.value_of(families, "process_open_fds") == 5
    assert summing.value_of(families, "process_cpu_seconds_total") is None
