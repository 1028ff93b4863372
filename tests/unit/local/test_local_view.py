"""What a state directory tells of an index, as values."""

from vectorfleet_operator.adapters.local import view
from vectorfleet_operator.api import condition, vector_index


def build_view(*conditions):
    """Return an index with these conditions, each (type, holds, message)."""
    built = tuple(condition.build_condition(kind, holds, "Reason", said) for kind, holds, said in conditions)
    status = vector_index.VectorIndexStatus(conditions=built)
    return view.IndexView("default", "small", True, status, "m", "http://small", "/key", ())


def test_what_shards_report_is_told_beside_readiness():
    """Only what holds now, and nothing that the operator decides itself."""
    index = build_view(
        ("Ready", True, "all shards serve"),
        ("MemoryPressure", True, "shard 1: 950 of 1000 MiB"),
        ("DiskPressure", False, "no shard reports it any more"),
    )
    assert index.troubles == ("MemoryPressure: shard 1: 950 of 1000 MiB",)
    assert index.ready


def test_an_index_without_trouble_tells_none():
    """Stalled is told elsewhere."""
    assert build_view(("Ready", False, "no"), ("Stalled", True, "no")).troubles == ()
