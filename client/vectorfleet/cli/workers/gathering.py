"""The metrics of all processes as those of one: workers are asked whenever somebody asks the primary.

A total must not fall because a worker is late or has ended: it would look like a start from zero, and rates
would jump. What such a one counted last stays in the totals; what it has under way does not.
"""

import concurrent.futures
import http.client
import threading
from collections.abc import Callable, Iterable, Sequence

import prometheus_client
from prometheus_client import Metric, core, registry

from . import control, crew, summing, tally

PATIENCE_SECONDS = 1.0
_OF_EACH = (
    ("vectorfleet_worker_resident_memory_bytes", "Memory of a worker.", "process_resident_memory_bytes"),
    ("vectorfleet_worker_cpu_seconds", "CPU time of a worker's process.", "process_cpu_seconds_total"),
)
Answers = dict[crew.Present, list[Metric]]


class Everyone(registry.Collector):
    """All metrics of the primary and its workers.

    Attributes:
        present: returns the workers; asked by the threads of the listener.
    """

    def __init__(self, own: registry.Collector = prometheus_client.REGISTRY) -> None:
        self.present: Callable[[], Sequence[crew.Present]] = tuple
        self._own = own
        self._lock = threading.Lock()
        self._last: Answers = {}
        self._past: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        """Return them, added up."""
        present = self.present()
        answers = ask(present)
        for one in present:
            if one not in answers:
                tally.SILENCES.labels(str(one.number)).inc()
        with self._lock:
            parts = self._parts(present, answers)
        return [*summing.add(self._own.collect(), parts), *_of_each(answers)]

    def _parts(self, present: Sequence[crew.Present], answers: Answers) -> list[list[Metric]]:
        self._last |= answers
        for one in self._last.keys() - set(present):
            self._past = summing.add(self._past, [summing.counts(self._last.pop(one))])
        late = [summing.counts(told) for one, told in self._last.items() if one not in answers]
        return [self._past, *answers.values(), *late]


def ask(present: Sequence[crew.Present]) -> Answers:
    """Return what workers show, all asked at once, for a second; who does not answer is left out."""
    if not present:
        return {}
    with concurrent.futures.ThreadPoolExecutor(len(present), "ask-worker") as pool:
        told = list(pool.map(_ask, present))
    return {one: families for one, families in zip(present, told, strict=True) if families is not None}


def _ask(one: crew.Present) -> list[Metric] | None:
    connection = http.client.HTTPConnection(control.LOOPBACK, one.metrics_port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return summing.read(answer.read().decode()) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _of_each(answers: Answers) -> Iterable[Metric]:
    for name, text, source in _OF_EACH:
        kind = core.CounterMetricFamily if source.endswith("_total") else core.GaugeMetricFamily
        family = kind(name, text, labels=["worker"])
        for one, families in sorted(answers.items(), key=lambda item: item[0].number):
            value = summing.value_of(families, source)
            if value is not None:
                family.add_metric([str(one.number)], value)
        yield family
