"""Which searches are known to take long."""

import pytest

from vectorfleet_shardnode.api import config, effort, shard_pb2
from vectorfleet_shardnode.serving import searching


def serving(**hnsw):
    """Return a generation whose queries have an efSearch."""
    return config.Generation(dimensions=2, hnsw=hnsw)


@pytest.mark.parametrize(
    ("great", "usual"),
    [
        ({"ef_search": 10_000}, {"ef_search": 100}),
        ({"ef_search": 401}, {"ef_search": 400}),
        ({"probes": 1_000_000}, {"probes": 256}),
        ({"oversampling": 100}, {"oversampling": 16}),
    ],
    ids=str,
)
def test_what_looks_far_deeper_than_usual_is_great(great, usual):
    """By each of the ways to ask for it; such a search is not short, and stays off the event loop."""
    for asked, expected in ((great, True), (usual, False)):
        query = shard_pb2.Query(top_k=10, **asked)
        assert effort.is_great(query, serving()) is expected
        request = shard_pb2.SearchRequest(queries=[query])
        assert searching.Searches(serving(), 0).is_short(request) is not expected


def test_what_an_index_does_by_itself_is_usual():
    """An index whose every query looks deep has no other queries to keep them from."""
    query = shard_pb2.Query(top_k=10, ef_search=2_000)
    assert not effort.is_great(query, serving(ef_search=1_000))
    assert effort.is_great(query, serving(ef_search=100))
