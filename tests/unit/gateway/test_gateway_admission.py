"""Who is let in under load: requests at a time, and bytes of their bodies."""

import asyncio

import pytest

from vectorfleet_gateway import admission, errors


@pytest.fixture
def soon(monkeypatch):
    """Wait for a moment only."""
    monkeypatch.setattr(admission, "WAIT_SECONDS", 0.05)


def test_so_many_come_in():
    """One more is told to come again; when one has left, there is room."""
    house = admission.House(2, 100)
    house.enter()
    house.enter()
    with pytest.raises(errors.ThrottledError, match="2 requests under way") as refused:
        house.enter()
    assert refused.value.headers == {"retry-after": "1"}
    house.leave()
    house.enter()


async def test_bodies_wait_their_turn():
    """In the order in which they came: a small one does not pass a large one by."""
    house = admission.House(9, 100)
    assert await house.take(80) == 80
    done = []

    async def take(amount):
        await house.take(amount)
        done.append(amount)

    waiting = [asyncio.create_task(take(amount)) for amount in (90, 5, 6)]
    await asyncio.sleep(0)
    assert done == []
    house.give(80)
    await asyncio.gather(waiting[0], waiting[1])
    assert done == [90, 5]
    house.give(90)
    await waiting[2]
    assert done == [90, 5, 6]


async def test_one_body_may_always_come_in():
    """However long it is, when it is alone."""
    house = admission.House(9, 100)
    assert await house.take(1_000) == 100
    house.give(100)
    assert await house.take(100) == 100


async def test_who_waits_too_long_is_told_to_come_again(soon):
    """And holds up nobody behind it."""
    house = admission.House(9, 100)
    await house.take(50)
    large = asyncio.create_task(house.take(60))
    await asyncio.sleep(0.03)
    small = asyncio.create_task(house.take(40))
    with pytest.raises(errors.ThrottledError, match="bytes of other requests"):
        await large
    assert await small == 40


async def test_who_goes_away_leaves_nothing_behind(soon):
    """A caller that is cut off while it waits, or in the moment of its turn, keeps no bytes."""
    house = admission.House(9, 100)
    await house.take(100)
    for granted in (False, True):
        waiting = asyncio.create_task(house.take(70))
        await asyncio.sleep(0)
        if granted:
            house.give(100)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await house.take(100) == 100


async def test_a_full_gateway_says_when_to_come_again(make_gateway, make_exchange):
    """429 with Retry-After at once; whoever has no key is told that, and takes no room."""
    gateway = make_gateway(bounds={"max_requests": 1})
    hanging = asyncio.create_task(
        gateway.ask("POST", "/query", headers={"content-length": "9"}, exchange=make_exchange(hang=True))
    )
    await asyncio.sleep(0)
    full = await gateway.ask("GET", "/namespaces")
    assert (full.status, full.headers["retry-after"], full.json["code"]) == (429, "1", 8)
    assert (await gateway.ask("GET", "/namespaces", headers={"api-key": None})).status == 401
    gateway.app.cut_off()
    await hanging
    assert (await gateway.ask("GET", "/namespaces")).status == 200


async def test_bodies_have_room_together(make_gateway, make_exchange, soon):
    """What is announced is set aside before it is read; without a length, as much as a body may have."""
    gateway = make_gateway(bounds={"max_body_bytes": 1_000, "max_bodies_bytes": 1_500})
    hanging = asyncio.create_task(
        gateway.ask("POST", "/query", headers={"content-length": "900"}, exchange=make_exchange(hang=True))
    )
    await asyncio.sleep(0)
    body = {"topK": 1, "vector": [1.0, 0.0]}
    assert (await gateway.ask("POST", "/query", body)).status == 200
    late = make_exchange([b"{}"])
    full = await gateway.ask("POST", "/query", exchange=late, headers={"content-length": None})
    assert (full.status, late.read) == (429, 0)
    gateway.app.cut_off()
    await hanging
    assert (await gateway.ask("POST", "/query", body, headers={"content-length": None})).status == 200
