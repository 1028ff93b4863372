"""Calls to a service over real HTTP: turns, places, retries, time, and addresses."""

import asyncio
import time

import pytest
from services import proxy

from vectorfleet_gateway import errors
from vectorfleet_gateway.outbound import network, service

TERMS = {"key_file": None, "timeout": 5, "retries": 0, "concurrency": 4, "rate": None, "max_bytes": 1000}
OK = proxy.Answer(200, b'{"ok": true}')


@pytest.fixture
def faults():
    """A proxy that answers by itself, and its URL."""
    with proxy.before("http://127.0.0.1:1/v1") as (made, url):
        made.always = OK
        yield made, url


@pytest.fixture
async def make(faults):
    """Make services before the proxy; what they observe is in their `outcomes`."""
    made = []

    def build(**terms):
        outcomes = []
        asked = service.Service(
            service.Terms(**{"name": "the service", "url": faults[1]} | TERMS | terms),
            lambda outcome, _: outcomes.append(outcome),
        )
        asked.outcomes = outcomes
        made.append(asked)
        return asked

    yield build
    for asked in made:
        await asked.close()


async def test_turns_are_spread(make):
    """No faster than the rate; whose turn would come too late is refused at once."""
    asked = make(rate=4)
    started = time.monotonic()
    for _ in range(3):
        assert await asked.post("/x", b"{}", 5) == OK.body
    assert time.monotonic() - started >= 0.5
    with pytest.raises(errors.ExhaustedError, match="may not be asked so often"):
        await asked.post("/x", b"{}", 0.05)


async def test_no_more_than_so_many_at_once(make, faults):
    """Who gets no place in time is told so."""
    asked = make(concurrency=1)
    faults[0].always = proxy.Wait(1)
    first = asyncio.create_task(asked.post("/x", b"{}", 5))
    await asyncio.sleep(0.2)
    with pytest.raises(errors.ExhaustedError, match="asked more than it can answer"):
        await asked.post("/x", b"{}", 0.2)
    first.cancel()


async def test_each_attempt_is_observed(make, faults):
    """By how it ended; a failure that may pass is followed by another attempt."""
    asked = make(retries=3)
    faults[0].fail_next(proxy.Answer(503), proxy.Answer(None), proxy.Answer(429))
    assert await asked.post("/x", b"{}", 10) == OK.body
    assert asked.outcomes == ["503", "unreachable", "429", "ok"]


async def test_a_failure_that_does_not_pass_is_tried_once(make, faults):
    """A refusal is final."""
    asked = make(retries=3)
    faults[0].always = proxy.Answer(404)
    with pytest.raises(errors.BadGatewayError, match="HTTP 404"):
        await asked.post("/x", b"{}", 10)
    assert len(faults[0].seen) == 1


async def test_it_gives_up_before_its_time_is_over(make, faults):
    """A wait that the service asks for and that would outlast the request is not waited."""
    asked = make(retries=5)
    faults[0].always = proxy.Answer(503, headers=(("retry-after", "30"),))
    started = time.monotonic()
    with pytest.raises(errors.UnavailableError):
        await asked.post("/x", b"{}", 3)
    assert time.monotonic() - started < 2


async def test_a_slow_service(make, faults):
    """An attempt has its own time within the caller's."""
    asked = make(timeout=0.2)
    faults[0].always = proxy.Wait(2)
    with pytest.raises(errors.DeadlineExceededError, match=r"did not answer within 0\.2 s"):
        await asked.post("/x", b"{}", 10)
    assert asked.outcomes == ["late"]


async def test_a_service_that_is_not_there(make):
    """A port that nobody listens on, and a name that nobody has."""
    for url in ("http://127.0.0.1:1", "http://no-such-host.invalid"):
        with pytest.raises(errors.UnavailableError, match="the service can't be reached"):
            await make(url=url).post("/x", b"{}", 5)


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "0", "::", "224.0.0.1"])
async def test_forbidden_addresses(host):
    """However an address is written, what it resolves to is looked at before anything is connected."""
    with pytest.raises(network.ForbiddenAddressError, match="where no service may be"):
        await network.CheckedBackend().connect_tcp(host, 80, timeout=1)


async def test_paths_are_no_services():
    """A socket in the file system is none either."""
    with pytest.raises(network.ForbiddenAddressError):
        await network.CheckedBackend().connect_unix_socket("/run/x.sock")
