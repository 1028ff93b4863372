"""The model of an index where shards have replicas: one that lags does not make a gateway forget it."""

import pytest
from replicated import gateways
from services import embedder, proxy

ROWS = ("a sweet red fruit", "a grey stone")


@pytest.fixture
def replicas(make_replicas):
    """Three replicas of a shard whose vectors are as long as the model's."""
    return make_replicas(dimensions=embedder.DIMENSIONS)


def scramble(answer):
    """Make of a model's vectors those of another model."""
    for item in answer["data"]:
        item["embedding"].reverse()
    return answer


def upsert(client, texts):
    """Write rows of text; return the status and what was said."""
    rows = [{"id": text, "text": text} for text in texts]
    answer = client.post("/vectors/upsert", json={"vectors": rows})
    return answer.status_code, answer.json().get("message", "")


def test_a_gateway_that_asks_a_lagging_replica_keeps_to_the_model(make_fleet, replicas, embedder_url):
    """Another gateway, whose embedder runs another model, writes nothing, and leaves what is remembered."""
    settings = {"model": "m", "field": "about", "timeoutSeconds": 20, "batchSize": 8} | embedder.ROLES
    replicas.isolate(2)
    first = gateways.start(make_fleet, replicas, (0, 1, 2), embedder=settings | {"url": embedder_url})
    with proxy.before(embedder_url) as (faults, url), first.http() as client:
        faults.always = proxy.Change(scramble)
        assert upsert(client, ROWS)[0] == 200
        # It asks the replica first that has neither the rows nor the memory of their model.
        other = gateways.start(make_fleet, replicas, (2, 0, 1), embedder=settings | {"url": url})
        with other.http() as away:
            status, said = upsert(away, ["of another model"])
            assert (status, "another model" in said) == (502, True)
            answer = away.post("/query", json={"topK": 1, "text": "fruit"})
            assert answer.status_code == 502
        assert upsert(client, ["of the first model"])[0] == 200
