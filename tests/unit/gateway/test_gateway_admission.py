"""Who is let in under load: requests at a time, and bytes of their bodies."""

import asyncio

import pytest

from vectorfleet_gateway import admission, body, errors, metrics, room
from vectorfleet_gateway.serving import bodies, exchanges

OTHER = {"api-key": "key-2"}
QUERY = b'{"topK": 1, "vector": [1.0, 0.0]}'


@pytest.fixture
def soon(monkeypatch):
    """Wait for a moment only."""
    monkeypatch.setattr(room, "WAIT_SECONDS", 0.05)


def test_so_many_come_in():
    """One more is told to come again; when one has left, there is room."""
    house = admission.House(2, 100)
    first, _ = house.enter("a"), house.enter("b")
    with pytest.raises(errors.ThrottledError, match="the gateway has 2 requests under way") as refused:
        house.enter("c")
    assert refused.value.headers == {"retry-after": "1"}
    first.leave()
    house.enter("c")


@pytest.mark.parametrize(("most", "names"), [(8, "ab"), (16, "a")])
def test_writes_leave_places_to_reads(most, names):
    """Of all places, and of one key's, they have three quarters: while they wait, reads come in."""
    house = admission.House(most, 100)
    for name in names * (6 // len(names)):
        house.enter(name, writes=True)
    with pytest.raises(errors.ThrottledError, match="writes under way are") as refused:
        house.enter(names[-1], writes=True)
    assert refused.value.reason == "writes"
    house.enter(names[0])
    house.enter(names[-1])


def test_a_house_of_one_place_takes_writes():
    """A share of nothing would be none."""
    house = admission.House(1, 100)
    house.enter("a", writes=True).leave()
    house.enter("a")


async def test_bodies_of_writes_leave_room_to_reads(soon):
    """However many writes wait for theirs, a read's body comes in at once; what a refused one had is free."""
    house = admission.House(99, 200)
    first = house.enter("a", writes=True)
    await first.reserve(75)
    waiting = asyncio.create_task(house.enter("a", writes=True).reserve(10))
    await asyncio.sleep(0)
    assert not waiting.done()
    await asyncio.wait_for(house.enter("a").reserve(15), 30)
    with pytest.raises(errors.ThrottledError, match="this key's writes hold 75 bytes, and may hold 75"):
        await waiting
    first.leave()
    await house.enter("a", writes=True).reserve(75)
    await house.enter("b", writes=True).reserve(75)
    with pytest.raises(errors.ThrottledError, match="the gateway's writes hold 150 bytes, and may hold 150"):
        await house.enter("c", writes=True).reserve(1)


async def test_bodies_wait_their_turn():
    """In the order in which they came: a small one does not pass a large one by."""
    house = admission.House(18, 200)
    filling = [house.enter(name) for name in "abcd"]
    for stay, amount in zip(filling, (90, 90, 10, 0), strict=True):
        await stay.reserve(amount)
    done = []

    async def take(stay, amount):
        await stay.reserve(amount)
        done.append(amount)
        return stay

    waiting = [asyncio.create_task(take(house.enter(f"w{amount}"), amount)) for amount in (90, 11, 12)]
    await asyncio.sleep(0)
    assert done == []
    filling[0].leave()
    first = await waiting[0]
    await asyncio.sleep(0)
    assert done == [90]
    filling[1].leave()
    await asyncio.gather(*waiting)
    assert done == [90, 11, 12]
    first.leave()


async def test_one_body_may_always_come_in(soon):
    """However long it is, when its key has no other; what comes beside it waits."""
    house = admission.House(9, 200)
    long = house.enter("a")
    for size in (80, 150, 1_000):
        await long.reserve(size)
    with pytest.raises(errors.ThrottledError, match="this key's requests hold 100 bytes"):
        await house.enter("a").reserve(1)
    await house.enter("b").reserve(100)
    long.leave()
    await house.enter("c").reserve(100)


async def test_who_waits_too_long_is_told_to_come_again(soon):
    """And holds up nobody behind it."""
    house = admission.House(18, 200)
    for name in "ab":
        await house.enter(name).reserve(75)
    large = asyncio.create_task(house.enter("c").reserve(60))
    await asyncio.sleep(0.03)
    small = asyncio.create_task(house.enter("d").reserve(40))
    with pytest.raises(errors.ThrottledError, match="bytes of other requests"):
        await large
    await small


async def test_who_has_its_share_holds_up_nobody():
    """Another key's body passes by one that waits for its own key's."""
    house = admission.House(9, 200)
    stay = house.enter("a")
    await stay.reserve(90)
    waiting = asyncio.create_task(house.enter("a").reserve(20))
    await asyncio.sleep(0)
    await house.enter("b").reserve(50)
    assert not waiting.done()
    stay.leave()
    await waiting


async def test_who_goes_away_leaves_nothing_behind(soon):
    """A caller that is cut off while it waits, or in the moment of its turn, keeps no bytes."""
    house = admission.House(18, 200)
    for granted in (False, True):
        filling = [house.enter(name) for name in "ab"]
        for stay in filling:
            await stay.reserve(100)
        gone = house.enter("c")
        waiting = asyncio.create_task(gone.reserve(70))
        await asyncio.sleep(0)
        if granted:
            filling[0].leave()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gone.leave()
        for stay in filling[granted:]:
            stay.leave()
    for name in "ab":
        await house.enter(name).reserve(100)


async def test_a_full_gateway_says_when_to_come_again(make_gateway, make_exchange):
    """429 with Retry-After at once; whoever has no key is told that, and takes no room."""
    gateway = make_gateway(bounds={"max_requests": 1})
    hanging = await hold(gateway, make_exchange(hang=True))
    full = await gateway.ask("GET", "/namespaces", headers=OTHER)
    assert (full.status, full.headers["retry-after"], full.json["code"]) == (429, "1", 8)
    assert (await gateway.ask("GET", "/namespaces", headers={"api-key": None})).status == 401
    gateway.app.cut_off()
    await hanging
    assert (await gateway.ask("GET", "/namespaces")).status == 200


async def test_slow_bodies_of_one_key_leave_others_their_places(make_gateway, make_exchange):
    """One key has half of them, however many it asks for."""
    gateway = make_gateway(bounds={"max_requests": 4})
    held = [await hold(gateway, make_exchange([b"{"], hang=True)) for _ in range(2)]
    refused = await gateway.ask("GET", "/namespaces")
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert "this key's requests under way are 2" in refused.json["message"]
    assert (await gateway.ask("GET", "/namespaces", headers=OTHER)).status == 200
    gateway.app.cut_off()
    await asyncio.gather(*held)
    assert (await gateway.ask("GET", "/namespaces")).status == 200


@pytest.mark.parametrize("length", ["1000", None])
async def test_what_is_announced_takes_no_room(make_gateway, make_exchange, soon, length):
    """Only what has come does, with a length and without."""
    gateway = make_gateway(bounds={"max_body_bytes": 1_000, "max_bodies_bytes": 2_000})
    held = [await hold(gateway, make_exchange([b"{"], hang=True), length) for _ in range(6)]
    assert (await gateway.ask("POST", "/query", QUERY)).status == 200
    assert (await gateway.ask("POST", "/query", QUERY, headers=OTHER)).status == 200
    gateway.app.cut_off()
    await asyncio.gather(*held)


@pytest.mark.parametrize("length", ["900", None])
async def test_bodies_of_one_key_leave_others_room(make_gateway, make_exchange, soon, length):
    """One key has half of it; what finds no more is told to come again, and another key's is answered."""
    gateway = make_gateway(bounds={"max_body_bytes": 1_000, "max_bodies_bytes": 2_000})
    hanging = await hold(gateway, make_exchange([b" " * 450, b" " * 449], hang=True), length)
    late = make_exchange([b"x" * 60, b"y" * 60], hang=True)
    full = await (await hold(gateway, late, length))
    assert (full.status, late.read) == (429, 120)
    assert "this key's requests hold 959 bytes, and may hold 1000 together" in full.json["message"]
    assert (await gateway.ask("POST", "/query", QUERY, headers=OTHER)).status == 200
    gateway.app.cut_off()
    await hanging
    assert (await gateway.ask("POST", "/query", QUERY, headers={"content-length": None})).status == 200


async def test_writes_that_wait_refuse_no_reads(make_gateway):
    """Three quarters of the places are theirs; the next write is refused, and a read answered."""
    gateway = make_gateway(shards=1, bounds={"max_requests": 8})
    [shard] = gateway.shards
    quorum = shard.gate = asyncio.Event()
    row = {"vectors": [{"id": "a", "values": [1.0, 0.0]}]}
    waiting = [asyncio.create_task(gateway.ask("POST", "/vectors/upsert", row)) for _ in range(3)]
    for _ in range(100):
        await asyncio.sleep(0)
    full = await gateway.ask("POST", "/vectors/upsert", row)
    assert (full.status, full.headers["retry-after"]) == (429, "1")
    assert "this key's writes under way are 3" in full.json["message"]
    shard.gate = None
    assert (await gateway.ask("GET", "/namespaces")).status == 200
    assert not any(one.done() for one in waiting)
    quorum.set()
    assert [one.status for one in await asyncio.gather(*waiting)] == [200] * 3


async def test_a_body_that_comes_too_slowly_is_cut_off(make_gateway, make_exchange, monkeypatch):
    """Each byte does not renew its time: a body has to come at a pace."""
    monkeypatch.setattr(body, "GRACE_SECONDS", 0.25)
    gateway = make_gateway()
    slow = make_exchange([b" "] * 100_000, pause=0.005)
    await gateway.ask("POST", "/query", headers={"content-length": "100000"}, exchange=slow)
    assert (slow.status, slow.headers["connection"]) == (408, "close")
    assert "8192 bytes a second" in slow.json["message"]
    quick = make_exchange([b" " * 8_000] * 4 + [QUERY], pause=0.005)
    length = str(32_000 + len(QUERY))
    await gateway.ask("POST", "/query", headers={"content-length": length}, exchange=quick)
    assert quick.status == 200


class Tap:
    """Where a body comes from; it is never held up."""

    def go_on(self):
        """See `bodies.Tap`."""

    invite = go_on


async def test_a_body_that_is_longer_than_its_share_comes_in_alone():
    """No more is counted of it than there is; between two pieces it waits, and lets others go on."""
    house = admission.House(2, 4_000)
    arriving = bodies.Body(Tap(), 10, 20_000)
    exchange = exchanges.Exchange(None, arriving, None)
    reading = asyncio.create_task(body.read(20_000, exchange, house.enter("k"), 10**6, 5.0))
    for _ in range(20):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        arriving.feed(b"x" * 1_000)
        assert house.room.held <= 2_000
    arriving.end()
    assert await reading == b"x" * 20_000


async def test_answers_count_until_they_are_taken(make_gateway, make_exchange, soon):
    """Large ones of one key have its half of the room, and keep their places; others get in."""
    gateway = make_gateway(bounds={"max_bodies_bytes": 500_000, "max_requests": 4})
    await gateway.upsert(
        [("a", [1.0, 0.0], {"text": "x" * 40_000}), ("b", [1.0, 1.0], {"text": "y" * 40_000})]
    )
    asked = b'{"topK": 2, "vector": [1.0, 0.0], "includeMetadata": true, "namespace": ""}'
    slow = [make_exchange([asked]) for _ in range(2)]
    slow[0].taken.clear()
    slow[1].taken.clear()
    held = [await hold(gateway, one, str(len(asked))) for one in slow]
    while slow[1].status is None:  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.001)
    assert [one.status for one in slow] == [200, 200]
    assert metrics.BODY_BYTES.collect()[0].samples[0].value > 160_000
    assert (await gateway.ask("GET", "/namespaces")).status == 429
    assert (await gateway.ask("POST", "/query", asked, headers=OTHER)).status == 200
    slow[0].taken.set()
    await held[0]
    slow[0].taken.clear()
    slow[1].taken.set()
    await held[1]
    assert metrics.BODY_BYTES.collect()[0].samples[0].value == 0


async def test_an_answer_that_finds_no_room_is_refused(make_gateway, make_exchange, soon):
    """What waits to be taken has filled the key's half."""
    gateway = make_gateway(bounds={"max_bodies_bytes": 300_000})
    await gateway.upsert(
        [("a", [1.0, 0.0], {"text": "x" * 40_000}), ("b", [1.0, 1.0], {"text": "y" * 40_000})]
    )
    asked = b'{"topK": 2, "vector": [1.0, 0.0], "includeMetadata": true}'
    slow = make_exchange([asked])
    slow.taken.clear()
    held = await hold(gateway, slow, str(len(asked)))
    while slow.status is None:  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.001)
    full = await gateway.ask("POST", "/query", asked)
    assert (full.status, full.headers["retry-after"]) == (429, "1")
    assert (await gateway.ask("POST", "/query", asked, headers=OTHER)).status == 200
    slow.taken.set()
    await held
    assert (await gateway.ask("POST", "/query", asked)).status == 200


async def hold(gateway, exchange, length="9"):
    """Ask what is not answered soon; return the task."""
    headers = {"content-length": length}
    asked = asyncio.create_task(gateway.ask("POST", "/query", headers=headers, exchange=exchange))
    for _ in range(5):
        await asyncio.sleep(0)
    return asked
