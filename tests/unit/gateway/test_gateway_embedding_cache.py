"""The cache of embedded texts, when the model under the embedder's URL is replaced; its time stands still."""

import json

import numpy as np
import pytest

from vectorfleet_gateway import errors
from vectorfleet_gateway.embedding import embedder, wire
from vectorfleet_shardnode.api import config, services

DIMENSIONS = 8


class Service:
    """Embeds by the model that it has at the time; counts requests."""

    def __init__(self):
        self.model = 1
        self.asked = 0

    def vector(self, text):
        """Return a text's vector, as it is now."""
        return np.random.default_rng([self.model, *text.encode()]).standard_normal(DIMENSIONS)

    async def post(self, path, body, seconds):
        self.asked += 1
        texts = json.loads(body)["input"]
        data = [{"index": i, "embedding": self.vector(text).tolist()} for i, text in enumerate(texts)]
        return json.dumps({"data": data, "model": "m"}).encode()


class Memory:
    """What an index remembers; all gateways have the same."""

    def __init__(self):
        self.remembered = None
        self.empty = True

    async def read(self, seconds, *, strong):
        return self.remembered

    async def write(self, vectors, model, seconds):
        self.remembered = vectors

    async def is_empty(self, seconds):
        return self.empty


class World:
    """An index with two gateways before it, and the service that they ask."""

    def __init__(self):
        self.service, self.memory = Service(), Memory()
        told = services.Embedder(url="http://e/v1", model="m")
        generation = config.Generation(dimensions=DIMENSIONS)
        self.one, self.other = (
            embedder.Embedder(told, generation, self.service, self.memory) for _ in range(2)
        )

    async def load(self, gateway, *texts):
        """Embed rows, which the index has from then on."""
        found = await gateway.embed(texts, wire.Role.DOCUMENT, 5)
        self.memory.empty = False
        return found.vectors

    async def query(self, gateway, text):
        """Embed a query."""
        return await gateway.embed([text], wire.Role.QUERY, 5)

    async def replace_model(self):
        """Empty the index, and load it anew by another model and the other gateway."""
        self.memory.empty = True
        self.service.model = 2
        await self.load(self.other, "row")


@pytest.fixture
async def world():
    """An index with a row."""
    made = World()
    await made.load(made.one, "row")
    return made


@pytest.fixture
def due(monkeypatch):
    """Return what lets ten seconds go by."""
    return lambda: monkeypatch.setattr(embedder, "CHECK_SECONDS", 0.0)


async def test_a_popular_query_does_not_keep_a_former_model(world, due):
    """Its cached vector is given until the next check is due, and no longer."""
    await world.query(world.one, "popular")
    await world.replace_model()
    due()
    found = await world.query(world.one, "popular")
    assert np.allclose(found.vectors[0], world.service.vector("popular"), atol=1e-6)
    assert found.cached == 0


async def test_a_cached_query_is_checked_when_it_is_due(world, due):
    """Another model under the URL of an index with rows is refused, though the text's vector is at hand."""
    await world.query(world.one, "popular")
    world.service.model = 2
    assert (await world.query(world.one, "popular")).cached == 1
    due()
    with pytest.raises(errors.BadGatewayError, match="another model"):
        await world.query(world.one, "popular")


async def test_what_the_cache_gives_costs_no_request(world):
    """Between two checks; a check is a request of its own, and then the cache gives again."""
    await world.query(world.one, "popular")
    before = world.service.asked
    assert (await world.query(world.one, "popular")).cached == 1
    assert world.service.asked == before


async def test_no_row_is_written_by_a_former_model(world):
    """Not even one whose text is cached, and whenever the last check was."""
    await world.replace_model()
    for texts in (["row"], ["row", "new"]):
        found = await world.load(world.one, *texts)
        expected = [world.service.vector(text) for text in texts]
        assert np.allclose(found, expected, atol=1e-6)


async def test_rows_with_cached_texts_are_mostly_not_embedded_anew(world):
    """One text goes along to see whether the model is the same; the others come from the cache."""
    texts = [f"row {number}" for number in range(20)]
    first = await world.load(world.one, *texts)
    again = await world.one.embed(texts, wire.Role.DOCUMENT, 5)
    assert again.cached == 19
    assert np.array_equal(again.vectors, first)
