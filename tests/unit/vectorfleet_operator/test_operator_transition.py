"""Which changes of a spec are refused where no API server looks at them."""

import pytest

from vectorfleet_operator.api import parse, transition

MODEL = {"name": "m", "dimensions": 16}
TITLE = {"name": "title", "dimensions": 16}
PQ = {"name": "a", "dimensions": 16, "quantization": {"type": "pq"}}


def parse_spec(spec):
    """Return the parsed spec with these fields beside its model."""
    return parse.parse_index({"metadata": {"name": "products"}, "spec": {"model": MODEL} | spec}).spec


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ({}, {"index": {"type": "flat"}}, "spec.index.type"),
        ({}, {"index": {"m": 16}}, "spec.index.m"),
        ({"index": {"m": 8}}, {}, "spec.index.m"),
        ({"index": {"profile": "recall"}}, {"index": {"profile": "latency"}}, "spec.index.profile"),
        ({}, {"index": {"library": "hnswlib"}}, "spec.index.library"),
        ({"index": {"type": "ivf"}}, {"index": {"type": "ivf", "lists": 3}}, "spec.index.lists"),
        ({}, {"quantization": {"type": "sq8"}}, "spec.quantization.type"),
        (
            {"quantization": {"type": "pq", "ratio": 8}},
            {"quantization": {"type": "pq"}},
            "spec.quantization.ratio",
        ),
        ({}, {"vectors": [{"name": "a", "dimensions": 2}]}, "spec.vectors"),
        (
            {"vectors": [{"name": "a", "dimensions": 2}]},
            {"vectors": [{"name": "a", "dimensions": 2, "quantization": {"type": "sq8"}}]},
            "spec.vectors",
        ),
        ({"vectors": [PQ]}, {"vectors": [PQ | {"quantization": {"type": "pq", "ratio": 8}}]}, "spec.vectors"),
        ({"vectors": [PQ, TITLE]}, {"vectors": [TITLE, PQ]}, "spec.vectors"),
        ({}, {"bootstrap": {"restore": {"backupName": "b"}}}, "spec.bootstrap"),
        ({}, {"storage": {"storageClassName": "fast"}}, "spec.storage.storageClassName"),
    ],
)
def test_what_is_stored_can_not_change(before, after, path):
    """What a graph, a code or a volume was built from keeps its first value, absent included."""
    (said,) = transition.broken(parse_spec(before), parse_spec(after))
    assert said.startswith(f"{path} is immutable: ")


def test_volumes_may_only_grow():
    """In whatever notation."""
    small, large, same = ({"storage": {"size": size}} for size in ("1Gi", "2Gi", "1024Mi"))
    (said,) = transition.broken(parse_spec(large), parse_spec(small))

    assert said.startswith("spec.storage.size may only grow: volumes can't be made smaller")
    assert transition.broken(parse_spec(small), parse_spec(large)) == ()
    assert transition.broken(parse_spec(small), parse_spec(same)) == ()


def test_a_size_that_volumes_could_not_reach_is_taken_back():
    """As far as they have grown, and no further."""
    small, middle, large = (parse_spec({"storage": {"size": size}}) for size in ("1Gi", "1500Mi", "2Gi"))

    assert transition.broken(large, small, "1Gi") == ()
    assert transition.broken(large, middle, "1Gi") == ()
    assert transition.broken(large, small, "1500Mi") != ()
    assert transition.broken(small, middle, "2Gi") == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"index": {"efSearch": 300}}),
        ({"index": {"profile": "recall"}}, {"index": {"profile": "recall", "efSearch": 300}}),
        ({"index": {"type": "ivf", "probes": 3}}, {"index": {"type": "ivf"}}),
        (
            {"quantization": {"type": "sq8"}},
            {"quantization": {"type": "sq8", "rescore": {"oversampling": 9}, "recallFloor": 0.5}},
        ),
        (
            {"vectors": [TITLE, PQ]},
            {"vectors": [TITLE, PQ | {"quantization": {"type": "pq", "recallFloor": 0, "rescore": {}}}]},
        ),
        ({}, {"schema": {"fields": [{"name": "a", "type": "float"}], "text": ["b"], "language": "german"}}),
    ],
)
def test_what_only_concerns_searching_changes_in_place(before, after):
    """And so does the schema."""
    assert transition.broken(parse_spec(before), parse_spec(after)) == ()
