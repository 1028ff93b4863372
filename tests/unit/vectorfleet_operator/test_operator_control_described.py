"""The control plane does what its own description says: generated requests, right and wrong."""

import asyncio
import json
import threading

import hypothesis
import pytest
import schemathesis
from controlling import plane
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from vectorfleet_operator.control import calls, openapi

DOCUMENT = openapi.describe(calls.CALLS, "")
# Header fields that nobody knows are no error in HTTP, so none are added to see them refused.
SETTINGS = GenerationConfig(deterministic=True, allow_extra_parameters=False)
schema = schemathesis.openapi.from_dict(
    DOCUMENT,
    config=SchemathesisConfig(
        projects=ProjectsConfig(default=ProjectConfig(generation=SETTINGS, base_url="http://127.0.0.1"))
    ),
)


@pytest.fixture(scope="module")
def url():
    """Where a control plane listens, in a thread of its own."""
    loop, told = asyncio.new_event_loop(), []
    up, stop = threading.Event(), asyncio.Event()

    async def serve():
        async with plane.served(most=50) as world:
            await world.ask("POST", "/indexes", json=plane.BODY)
            told.append(str(world.client.base_url))
            up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    up.wait(30)
    yield told[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@schema.parametrize()
@hypothesis.settings(max_examples=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_requests_of_every_kind(url, case):
    """Statuses, types and bodies of answers are as described, wrong requests are refused, nothing is a fault.

    That what fits is accepted is not asked: that pods are replicas times shards is more than a schema says.
    """
    case.call_and_validate(
        base_url=url, headers={"Api-Key": plane.ADMIN}, excluded_checks=[positive_data_acceptance], timeout=30
    )


async def test_the_description_is_served():
    """To whoever has a key; the same that the requests were made of."""
    async with plane.served() as world:
        served = await world.ask("GET", "/openapi.json", plane.READER)
        assert (await world.ask("GET", "/openapi.json", None)).status_code == 401
    assert served.json() | {"info": {}} == DOCUMENT | {"info": {}}
    assert served.json()["info"]["version"]


async def test_a_key_has_its_limits():
    """429 with the seconds after which to come again; what is refused changes nothing, other keys go on."""
    slow = plane.granted("slow", "key-of-slow", limits={"requestsPerSecond": 0.001, "burst": 2})
    async with plane.served(others=[slow]) as world:
        told = [await world.ask("GET", "/indexes", "key-of-slow") for _ in range(2)]
        refused = await world.ask("POST", "/indexes", "key-of-slow", json=plane.BODY)
        there = await world.ask("GET", "/indexes")
    assert [one.status_code for one in told] == [200, 200]
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RESOURCE_EXHAUSTED")
    assert int(refused.headers["retry-after"]) > 900
    assert there.json() == {"indexes": []}


def test_every_body_is_described_whole():
    """No schema refers to one that is missing."""
    text = json.dumps(DOCUMENT)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == set(DOCUMENT["components"]["schemas"])
