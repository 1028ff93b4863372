"""The cache of answers where shards have replicas: neither one that lags nor a failover makes a hit stale."""

import contextlib
import random
import threading
import time

import pytest
from crashing import node
from replicated import gateways

ROW = {"values": [1.0] * node.DIMENSIONS}
QUERY = {"topK": 1000, "vector": ROW["values"], "explain": True}
CACHE = {"maxBytes": 2**20}
POSITION, AT_LEAST = "x-vectorfleet-position", "x-vectorfleet-at-least"


@pytest.fixture
def replicas(make_replicas):
    """Three replicas of one shard."""
    return make_replicas()


def write(client, row, **headers):
    """Write a row and return where it stands; None where it is unknown what became of it."""
    answer = client.post("/vectors/upsert", json={"vectors": [ROW | {"id": row}]}, headers=headers)
    assert answer.status_code in (200, 503, 504), answer.text
    return answer.headers[POSITION] if answer.status_code == 200 else None


def ask(client, headers=None, **body):
    """Return the ids that a query finds, and whether they came from the cache."""
    answer = client.post("/query", json=QUERY | body, headers=headers or {})
    if answer.status_code != 200:
        assert answer.status_code in (503, 504), answer.text
        return None, False
    told = answer.json()
    return {match["id"] for match in told["matches"]}, told["explain"].get("cache", {}).get("hit")


def ask_until_kept(client, row):
    """Ask until an answer that holds a row comes from the cache."""
    end = time.monotonic() + 30
    while ask(client) != ({row}, True):
        assert time.monotonic() < end, "nothing was kept"
        time.sleep(0.05)


@pytest.fixture
def lagging(make_fleet, replicas):
    """A gateway that writes, and one with a cache that asks a replica first which gets nothing any more."""
    away = gateways.start(make_fleet, replicas, (0, 1, 2))

    @contextlib.contextmanager
    def begin(**cache):
        with (
            away.http() as writes,
            gateways.start(make_fleet, replicas, (2, 0, 1), cache=cache).http() as reads,
        ):
            assert write(writes, "first")
            replicas.wait_for(replicas.are_level)
            ask_until_kept(reads, "first")
            replicas.isolate(2)
            yield writes, reads

    return begin


def test_a_replica_that_lags_confirms_nothing(lagging):
    """It stands where it stood, and that says nothing of what others have acknowledged since."""
    with lagging(**CACHE) as (writes, reads):
        assert write(writes, "second")
        for _ in range(20):
            found, hit = ask(reads)
            assert "second" in found or not hit


def test_answers_are_no_older_than_allowed_where_a_replica_lags(lagging):
    """A search of a lagging replica is not taken for a confirmation; the time since the last one counts."""
    with lagging(**CACHE, maxStaleSeconds=2) as (writes, reads):
        assert write(writes, "second")
        acknowledged = time.monotonic()
        for n in range(60):
            began = time.monotonic()
            for topK in (1000, 900 + n % 3):  # noqa: N806  # asked before, and asked for the first time
                found, hit = ask(reads, topK=topK)
                assert "second" in found or not hit or began - acknowledged < 2
            time.sleep(0.05)


def test_what_is_demanded_does_not_come_from_the_cache(lagging):
    """A strong read, and one of what its caller wrote, see it, whatever is kept and whoever lags."""
    with lagging(**CACHE, maxStaleSeconds=3600) as (writes, reads):
        position = write(writes, "second")
        for _ in range(5):
            assert ask(reads, {"x-vectorfleet-consistency": "strong"}) == ({"first", "second"}, None)
            assert ask(reads, {AT_LEAST: position}) == ({"first", "second"}, None)


def test_a_query_by_id_is_kept_as_one_by_the_vector_that_it_had(lagging, replicas):
    """A lagging replica may give the row's former vector; what is kept for that never answers by the new one.

    A hit holds all that was acknowledged, whichever vector it is by; a strong read goes by the new one at
    once, and every read does once the replica is level.
    """
    former, new = ROW["values"], [-1.0, *ROW["values"][1:]]
    by_id = {"topK": 10, "id": "first", "explain": True, "includeValues": True}

    def scores(client, headers=None):
        answer = client.post("/query", json=by_id, headers=headers or {})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        best = {match["id"]: round(match["score"], 3) for match in told["matches"]}
        return best, told["explain"].get("cache", {}).get("hit")

    with lagging(**CACHE, maxStaleSeconds=1) as (writes, reads):
        assert scores(reads)[0] == {"first": 0.0}
        sent = {"vectors": [{"id": "first", "values": new}, {"id": "former", "values": former}]}
        assert writes.post("/vectors/upsert", json=sent).status_code == 200
        acknowledged = time.monotonic()
        apart = 4.0  # squared: of the two vectors one value differs, by 2
        by_new, by_former = {"first": 0.0, "former": apart}, {"first": apart, "former": 0.0}
        for _ in range(40):
            began = time.monotonic()
            found, hit = scores(reads)
            if hit and began - acknowledged > 1:
                assert found in (by_new, by_former), "a hit lacks what was acknowledged"
            assert found in (by_new, by_former, {"first": 0.0})
            assert scores(reads, {"x-vectorfleet-consistency": "strong"}) == (by_new, None)
            time.sleep(0.05)
        for link in replicas.network.links.values():
            link.heal()
        replicas.wait_for(replicas.are_level)
        time.sleep(1)
        for _ in range(10):
            assert scores(reads)[0] == by_new


def test_a_hit_is_an_answer_of_now_through_failovers(make_fleet, replicas):
    """Two gateways, replicas that are killed, stopped and cut off: each hit has all that was acknowledged."""
    chance, stopping = random.Random(11), threading.Event()
    fleets = [gateways.start(make_fleet, replicas, order, cache=CACHE) for order in ((0, 1, 2), (2, 1, 0))]
    keeping = threading.Thread(target=replicas.operator.keep, args=(stopping, 0.5))
    keeping.start()
    acknowledged, tried, hits = set(), set(), 0
    try:
        with fleets[0].http() as one, fleets[1].http() as other:
            for step in range(120):
                if step % 20 == 10:
                    trouble(replicas, chance, step // 20)
                if chance.random() < 0.25:
                    row = f"r{step}"
                    tried.add(row)
                    if write(chance.choice([one, other]), row):
                        acknowledged.add(row)
                found, hit = ask(chance.choice([one, other]))
                if hit:
                    hits += 1
                    assert acknowledged <= found <= tried
            strong, _ = ask_strongly(one)
            assert acknowledged <= strong <= tried
    finally:
        stopping.set()
        keeping.join()
    assert hits > 10, "the test has to meet some"


def ask_strongly(client):
    """Ask until a strong read is answered."""
    end, strongly = time.monotonic() + 60, {"x-vectorfleet-consistency": "strong"}
    while (found := ask(client, strongly))[0] is None:
        assert time.monotonic() < end, client.post("/query", json=QUERY, headers=strongly).text
        time.sleep(0.05)
    return found


def trouble(replicas, chance, number):
    """End what was wrong, and make something else wrong with one replica, the primary every other time."""
    for link in replicas.network.links.values():
        link.heal()
    for replica in replicas.replicas:
        replica.go_on()
        if not replica.runs:
            replica.start()
    primary = replicas.primary()
    victim = primary if number % 2 == 0 and primary is not None else chance.randrange(3)
    kind = number % 3
    if kind == 0:
        replicas.replicas[victim].end()
    elif kind == 1:
        replicas.isolate(victim)
    else:
        replicas.replicas[victim].stop()
