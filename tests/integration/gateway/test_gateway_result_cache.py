"""The cache of answers over real shards: never stale beyond what is promised, whoever writes."""

import json
import random
import time

import pytest

HIT = 'vectorfleet_gateway_result_cache_lookups_total{result="hit"}'
ROWS = [
    {"id": str(n), "values": [1, n / 10, 0, 0], "metadata": {"n": n, "about": f"number {n} of all"}}
    for n in range(20)
]
QUERY = {"topK": 3, "vector": [1, 0, 0, 0], "includeMetadata": True}


@pytest.fixture(scope="module")
def fleet(make_fleet):
    """Two shards, and a gateway that keeps answers."""
    return make_fleet(schema={"text": ["about"]}, named={"cache": {"maxBytes": 2**20}})


@pytest.fixture(scope="module")
def other(fleet, make_fleet):
    """Another gateway before the same shards, with a cache of its own."""
    twin = make_fleet(start=False)
    path = twin.folder / "index.json"
    path.write_text((fleet.folder / "index.json").read_text())
    (twin.folder / "hosts").write_text((fleet.folder / "hosts").read_text())
    return twin.start(alone=True)


@pytest.fixture
def http(fleet):
    """A client of the index, which holds twenty rows."""
    with fleet.http() as client:
        client.post("/vectors/delete", json={"deleteAll": True})
        assert client.post("/vectors/upsert", json={"vectors": ROWS}).status_code == 200
        yield client


def ask(client, **body):
    """Return a query's answer."""
    answer = client.post("/query", json=QUERY | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def hits(client, **body):
    """Tell whether the cache answers a query."""
    return ask(client, **body, explain=True)["explain"]["cache"]["hit"]


def comes_to_hit(client, **body):
    """Tell whether the cache answers a query sooner or later; shards that confirm late make it a miss."""
    return any(hits(client, **body) for _ in range(10))


def counted(fleet):
    """Return how many hits the metrics have."""
    found = [line for line in fleet.gateway.scrape().splitlines() if line.startswith(HIT)]
    return float(found[0].split()[-1]) if found else 0.0


def test_an_answer_is_given_again(fleet, http):
    """The same bytes; the metrics count it, and the explanation says where the shards stood."""
    before, first = counted(fleet), http.post("/query", json=QUERY)
    for _ in range(10):  # a shard that confirms late makes it a miss
        if counted(fleet) > before:
            break
        assert http.post("/query", json=QUERY).content == first.content
    assert counted(fleet) == before + 1
    explained = (ask(http, explain=True)["explain"] for _ in range(10))
    told = next(one for one in explained if one["cache"]["hit"])
    assert told.keys() == {"cache"}
    assert [one["shard"] for one in told["cache"]["positions"]] == [0, 1]
    assert all(one["seq"] > 0 for one in told["cache"]["positions"])
    assert [match["id"] for match in ask(http)["matches"]] == ["0", "1", "2"]


def test_an_explained_answer_is_kept_without_its_explanation(http):
    """Who asks first may ask for more."""
    assert not hits(http, topK=4)
    assert "explain" not in ask(http, topK=4)
    assert comes_to_hit(http, topK=4)


@pytest.mark.parametrize(
    "change",
    [
        {"topK": 2},
        {"vector": [1, 0.5, 0, 0]},
        {"filter": {"n": {"$gt": 3}}},
        {"includeValues": True},
        {"includeMetadata": False},
        {"namespace": "elsewhere"},
        {"namespace": "__default__"},
        {"params": {"exact": True}},
        {"text": "number 3"},
        {"text": "number 3", "fusion": {"method": "weighted", "alpha": 0.1}},
        {"text": "number 3", "fusion": {"k": 1}},
    ],
)
def test_what_is_asked_otherwise_is_another_question(http, change):
    """Each part of a query counts; asked a second time, it is answered from the cache too, and alike."""
    ask(http)
    first = ask(http, **change)
    assert comes_to_hit(http, **change)
    assert ask(http, **change) == first


@pytest.mark.parametrize(
    "write",
    [
        ("/vectors/upsert", {"vectors": [{"id": "new", "values": [1, 0, 0, 0]}]}),
        ("/vectors/update", {"id": "0", "setMetadata": {"about": "changed"}}),
        ("/vectors/delete", {"ids": ["0"]}),
        ("/vectors/delete", {"filter": {"n": 0}}),
        ("/vectors/delete", {"deleteAll": True}),
    ],
)
@pytest.mark.parametrize("through", ["this gateway", "another one"])
def test_a_write_ends_what_was_kept(http, other, write, through):
    """The next query sees it, whichever gateway took it."""
    before = ask(http)
    assert comes_to_hit(http)
    path, body = write
    with other.http() as away:
        assert (http if through == "this gateway" else away).post(path, json=body).status_code == 200
        assert not hits(http)
        assert ask(http) != before
        assert ask(http)["matches"] == ask(away)["matches"]


def test_no_read_is_stale_under_random_writes(http, other):
    """Two gateways write and read in any order: each read has what was last acknowledged."""
    chance = random.Random(7)
    expected = {}
    with other.http() as away:
        for step in range(150):
            writer, reader = chance.choice([http, away]), chance.choice([http, away])
            row = f"r{chance.randrange(4)}"
            if chance.random() < 0.4:
                expected[row] = step
                rows = [{"id": row, "values": [0, 1, 0, 0], "metadata": {"step": step}}]
                answer = writer.post("/vectors/upsert", json={"vectors": rows, "namespace": "random"})
                assert answer.status_code == 200
            found = ask(reader, vector=[0, 1, 0, 0], topK=10, namespace="random")["matches"]
            assert {match["id"]: match["metadata"]["step"] for match in found} == expected


def test_a_shard_that_is_away_is_no_hit(make_fleet):
    """What can't be asked whether it still holds is not given."""
    fleet = make_fleet(named={"cache": {}}, REQUEST_TIMEOUT_SECONDS=2)
    with fleet.http() as client:
        client.post("/vectors/upsert", json={"vectors": ROWS})
        ask(client)
        fleet.shards[0].kill()
        assert client.post("/query", json=QUERY).status_code in (503, 504)
        partial = ask(client, allowPartial=True)
        assert partial["partial"]
        fleet.shards[0].start()
        fleet.shards[0].ready()
        end = time.monotonic() + 20
        while client.post("/query", json=QUERY | {"allowPartial": True}).json().get("partial"):
            assert time.monotonic() < end, "a partial answer was kept"


def test_answers_may_be_as_old_as_the_index_allows(make_fleet):
    """Writes of others show within that time, this gateway's own at once."""
    fleet = make_fleet(shards=1, named={"cache": {"maxStaleSeconds": 3}})
    twin = make_fleet(start=False, shards=1)
    settled = json.loads((fleet.folder / "index.json").read_text())
    (twin.folder / "index.json").write_text(json.dumps(settled))
    (twin.folder / "hosts").write_text((fleet.folder / "hosts").read_text())
    twin.start(alone=True)
    with fleet.http() as here, twin.http() as away:
        here.post("/vectors/upsert", json={"vectors": ROWS})
        first = ask(here)
        fleet.shards[0].process.send_signal(19)  # SIGSTOP: whoever asked it would wait
        started = time.monotonic()
        assert ask(here) == first
        assert time.monotonic() - started < 2
        fleet.shards[0].process.send_signal(18)
        away.post("/vectors/delete", json={"ids": ["0"]})
        deleted = time.monotonic()
        while ask(here) == first:
            assert time.monotonic() - deleted < 4, "an answer was older than is promised"
            time.sleep(0.05)
        again = ask(here)
        here.post("/vectors/delete", json={"ids": ["1"]})
        assert ask(here) != again


def test_without_a_cache_nothing_is_kept(make_fleet):
    """It is off unless the index wants it."""
    with make_fleet(shards=1).http() as client:
        client.post("/vectors/upsert", json={"vectors": ROWS})
        ask(client)
        assert "cache" not in ask(client, explain=True)["explain"]
