"""Adds up the metrics of several processes. Pure.

Counters and histograms add up, and so do gauges of what a gateway has under way or keeps in memory. A shard's
gauges do not: there is one shard. What a process says of itself (`process_*`, `python_*`) is its own alone.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import Metric, parser
from prometheus_client.samples import Sample

_OWN = ("process_", "python_")
_ADDED_GAUGES = "vectorfleet_gateway_"
_Key = tuple[str, tuple[tuple[str, str], ...]]


def read(text: str) -> list[Metric]:
    """Return the families of Prometheus's text format."""
    return list(parser.text_string_to_metric_families(text))


def counts(families: Iterable[Metric]) -> list[Metric]:
    """Return the families that only grow, and of which the past counts."""
    return [one for one in families if _counts(one)]


def value_of(families: Iterable[Metric], name: str) -> float | None:
    """Return the value of a sample that has no labels, None where there is none of that name."""
    return next((one.value for family in families for one in family.samples if one.name == name), None)


def add(first: Iterable[Metric], others: Iterable[Iterable[Metric]]) -> list[Metric]:
    """Return the families of the first, with what adds up of the others added by name and labels."""
    total = {family.name: family for family in first}
    added = {name: dict(_samples(family)) for name, family in total.items()}
    for family in (one for families in others for one in families if _adds_up(one)):
        total.setdefault(family.name, family)
        samples = added.setdefault(family.name, {})
        for key, sample in _samples(family):
            before = samples.get(key)
            samples[key] = sample if before is None else before._replace(value=before.value + sample.value)
    return [_family(total[name], samples.values()) for name, samples in added.items()]


def _family(like: Metric, samples: Iterable[Sample]) -> Metric:
    made = Metric(like.name, like.documentation, like.type, like.unit)
    made.samples = list(samples)
    return made


def _samples(family: Metric) -> Iterator[tuple[_Key, Sample]]:
    for sample in family.samples:
        yield (sample.name, tuple(sorted(sample.labels.items()))), sample


def _adds_up(family: Metric) -> bool:
    if family.type == "gauge":
        return family.name.startswith(_ADDED_GAUGES) and not family.name.endswith("_created")
    return _counts(family)


def _counts(family: Metric) -> bool:
    return family.type in {"counter", "histogram"} and not family.name.startswith(_OWN)
