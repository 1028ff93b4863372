"""A write quorum that is lost, as a client of a gateway is told of it."""

import pytest
from crashing import node
from replicated import gateways

ROW = {"id": "a", "values": [1.0] * node.DIMENSIONS}
QUERY = {"topK": 10, "vector": ROW["values"]}


@pytest.fixture
def replicas(make_replicas):
    """Three replicas of one shard."""
    return make_replicas()


def test_a_quorum_that_is_lost_refuses_writes_and_answers_reads(make_fleet, replicas):
    """503 in the shard's words and when to come again; reads go on; then writes do."""
    with gateways.start(make_fleet, replicas, (0, 1, 2), seconds=60).http() as client:
        assert client.post("/vectors/upsert", json={"vectors": [ROW]}).status_code == 200
        replicas.wait_for(replicas.are_level)
        for number in (1, 2):
            replicas.replicas[number].end()
        replicas.wait_for(lambda: not replicas.state(0).acknowledges)
        refused = client.post(
            "/vectors/upsert", json={"vectors": [ROW | {"id": "b"}]}, timeout=90
        )  # it is told sooner
        assert (refused.status_code, refused.json()["code"]) == (503, 9)
        assert "quorum lost: writes need 2 of 3 replicas" in refused.json()["message"]
        assert refused.headers["retry-after"] == "2"
        found = client.post("/query", json=QUERY)
        assert [match["id"] for match in found.json()["matches"]] == ["a"]
        assert found.headers["x-vectorfleet-maybe-stale"] == "0"
        replicas.replicas[2].start()
        replicas.wait_for(lambda: replicas.state(0).acknowledges)
        assert client.post("/vectors/upsert", json={"vectors": [ROW | {"id": "b"}]}).status_code == 200
