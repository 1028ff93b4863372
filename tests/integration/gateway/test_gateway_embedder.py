"""Texts through a real embedding server: rows and queries of text, its faults, and its model."""

import concurrent.futures
import json
import time

import numpy as np
import pytest
from services import embedder, proxy

from vectorfleet_gateway.embedding import probes

SERVING = {"dimensions": embedder.DIMENSIONS}
KEY = "the-embedders-own-key"
ROWS = {
    "apple": "A sweet red fruit that grows on trees",
    "bus": "A big car that takes many people through the town",
    "slate": "A grey stone that splits into thin plates for roofs",
}
SCHEMA = {"text": ["about"]}


def settings(url, **changes):
    """Return an embedder's configuration."""
    about = {"url": url, "model": "e5", "field": "about", "timeoutSeconds": 20, "batchSize": 8}
    return about | embedder.ROLES | changes


@pytest.fixture(scope="module")
def fleet(make_fleet, embedder_proxy):
    """Two shards with an embedder and a field of text."""
    return make_fleet(serving=SERVING, schema=SCHEMA, named={"embedder": settings(embedder_proxy[1])})


@pytest.fixture
def faults(embedder_proxy):
    """The proxy before the embedder, healthy."""
    embedder_proxy[0].heal()
    yield embedder_proxy[0]
    embedder_proxy[0].heal()


@pytest.fixture
def http(fleet, faults):
    """A client of the index, which holds three rows that were sent as text."""
    with fleet.http() as client:
        clear(client)
        assert upsert(client, ROWS).json() == {"upsertedCount": len(ROWS)}
        faults.heal()
        yield client


def clear(client):
    """Delete every row."""
    for name in client.post("/describe_index_stats", json={}).json()["namespaces"]:
        client.post("/vectors/delete", json={"deleteAll": True, "namespace": name})


def upsert(client, texts, **body):
    """Write rows of text."""
    rows = [{"id": row_id, "text": text} for row_id, text in texts.items()]
    return client.post("/vectors/upsert", json={"vectors": rows} | body)


def query(client, **body):
    """Return a query's answer."""
    return client.post("/query", json={"topK": 3} | body)


def found(client, **body):
    """Return the ids that a query finds, best first."""
    answer = query(client, **body)
    assert answer.status_code == 200, answer.text
    return [match["id"] for match in answer.json()["matches"]]


def inputs(faults):
    """Return the texts of each request that the embedder got, the probes left out."""
    kept = [[text for text in seen.body["input"] if text not in probes.TEXTS] for seen in faults.seen]
    return [texts for texts in kept if texts]


def scramble(answer):
    """Make of a model's vectors those of another model."""
    for item in answer["data"]:
        item["embedding"].reverse()
    return answer


def test_rows_of_text_are_found_by_meaning(http):
    """A query that shares no word with a row finds it by its vector."""
    assert found(http, text="fruit", search="vector")[0] == "apple"
    assert found(http, text="public transport vehicle", search="vector")[0] == "bus"
    assert found(http, text="mineral", search="vector")[0] == "slate"


def test_a_row_of_text_has_the_models_vector_and_its_text(http):
    """The values are those that the model gives to a passage; the text is in the metadata."""
    row = http.get("/vectors/fetch", params={"ids": "apple"}).json()["vectors"]["apple"]
    assert row["metadata"] == {"about": ROWS["apple"]}
    assert np.array(row["values"]) @ embedder.model().passage(ROWS["apple"]) == pytest.approx(1, abs=1e-4)


def test_a_text_is_searched_in_each_way_that_the_index_has(http):
    """By its vector and by its words, fused; or in one of the two ways, where the query says so."""
    both = query(http, text="red fruit", explain=True).json()["explain"]
    assert both.keys() == {"vector", "text", "fusion", "embedding"}
    assert (
        query(http, text="red fruit", search="hybrid", explain=True).json()["explain"].keys() == both.keys()
    )
    by_vector = query(http, text="red fruit", search="vector", explain=True).json()["explain"]
    assert by_vector.keys() == {"vector", "embedding"}
    assert query(http, text="red fruit", search="text", explain=True).json()["explain"].keys() == {"text"}
    assert found(http, text="red fruit", search="text") == ["apple"]


def test_a_text_beside_a_vector_is_searched_by_words(http, faults):
    """The caller's own vector is the vector; nothing is embedded."""
    vector = embedder.model().query("public transport").tolist()
    told = query(http, vector=vector, text="thin plates", explain=True).json()["explain"]
    assert told.keys() == {"vector", "text", "fusion"}
    assert set(found(http, id="bus", text="thin plates")[:2]) == {"bus", "slate"}
    assert faults.seen == []


def test_an_update_by_text(http):
    """The row's vector and its text are new, its other metadata stays."""
    http.post("/vectors/update", json={"id": "bus", "setMetadata": {"wheels": 6}})
    answer = http.post("/vectors/update", json={"id": "bus", "text": "A small yellow bird that sings"})
    assert answer.status_code == 200, answer.text
    assert found(http, text="an animal with feathers", search="vector")[0] == "bus"
    row = http.get("/vectors/fetch", params={"ids": "bus"}).json()["vectors"]["bus"]
    assert row["metadata"] == {"about": "A small yellow bird that sings", "wheels": 6}


def test_rows_of_values_and_of_text_go_together(http):
    """One request holds both."""
    values = embedder.model().passage("Water that falls from clouds").tolist()
    rows = [{"id": "rain", "values": values}, {"id": "sun", "text": "The star that warms us"}]
    assert http.post("/vectors/upsert", json={"vectors": rows}).status_code == 200
    assert found(http, text="wet weather", search="vector")[0] == "rain"
    assert found(http, text="our sun in the sky", search="vector")[0] == "sun"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "a", "values": [0.5] * 384}, "has values and a text to be embedded"),
        ({"text": " "}, "text is blank"),
        ({"text": "x" * 32_769}, "at most 32768 are taken"),
        ({"text": "a", "metadata": {"about": "b"}}, "metadata field 'about', which holds something else"),
        ({}, "has 0 dimensions"),
    ],
)
def test_rows_that_are_refused(http, faults, row, said):
    """400, before the embedder is asked or anything is written."""
    rows = [{"id": "good", "text": "good"}, {"id": "bad"} | row]
    answer = http.post("/vectors/upsert", json={"vectors": rows})
    assert (answer.status_code, said in answer.json()["message"]) == (400, True), answer.text
    assert faults.seen == []
    assert http.get("/vectors/fetch", params={"ids": "good"}).json()["vectors"] == {}


def test_an_upsert_is_embedded_in_batches(http, faults):
    """As many texts as the configuration says, the probe among them; a text that is there twice goes once."""
    texts = {f"n{number}": f"The number {number % 20}" for number in range(25)}
    assert upsert(http, texts).status_code == 200
    sent = [seen.body["input"] for seen in faults.seen]
    assert max(map(len, sent)) <= 8
    assert all(len(set(batch)) == len(batch) for batch in sent)
    assert {text for batch in inputs(faults) for text in batch} == set(texts.values())
    assert all(probes.TEXTS[0] in batch for batch in sent)


def test_what_the_service_is_told(http, faults):
    """The model's name, and what the texts are for."""
    query(http, text="a new question")
    upsert(http, {"new": "a new row"})
    asked, written = (seen for seen in faults.seen if set(seen.body["input"]) - set(probes.TEXTS))
    assert (asked.path, asked.body["model"], asked.body["input_type"]) == ("/v1/embeddings", "e5", "query")
    assert (written.body["input"][0], written.body["input_type"]) == ("a new row", "passage")
    assert "authorization" not in asked.headers


def test_a_text_is_embedded_once(fleet, http, faults):
    """The cache answers the second time, the explanation says so, and the metrics count it."""
    body = {"text": "something to be remembered", "search": "vector", "explain": True}
    first, second = (query(http, **body).json() for _ in range(2))
    assert [one["explain"]["embedding"]["cached"] for one in (first, second)] == [False, True]
    assert first["matches"] == second["matches"]
    assert inputs(faults) == [["something to be remembered"]]
    metrics = fleet.gateway.scrape()
    assert 'vectorfleet_gateway_embedded_texts_total{source="cache"}' in metrics
    assert 'vectorfleet_gateway_embedder_calls_total{outcome="ok"}' in metrics
    assert "embedding_generation_duration_seconds_count" in metrics


def test_queries_that_wait_go_together(fleet, http, faults):
    """While the embedder is busy, what comes gathers into one request."""
    faults.always = proxy.Wait(0.3)
    texts = [f"question {number}" for number in range(16)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda text: query(http, text=text).status_code, texts))
    assert set(answers) == {200}
    assert len(inputs(faults)) < len(texts)


def test_what_may_pass_is_tried_again(http, faults):
    """Overload, a restart, a broken connection: the caller notices only the time."""
    faults.fail_next(proxy.Answer(503), proxy.Answer(None))
    assert query(http, text="stubborn").status_code == 200
    faults.fail_next(proxy.Answer(429, headers=(("retry-after", "0.2"),)))
    started = time.monotonic()
    assert query(http, text="patient").status_code == 200
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (proxy.Answer(500), 503, "the embedder answers HTTP 500"),
        (proxy.Answer(None), 503, "the embedder can't be reached"),
        (proxy.Answer(401, b'{"error": {"message": "bad key: sk-123"}}'), 502, "does not take the key"),
        (proxy.Answer(404), 502, "look at its URL and its model"),
        (proxy.Answer(302, headers=(("location", "http://127.0.0.1:1/"),)), 502, "redirects"),
        (proxy.Answer(200, b"<html>"), 502, "not of the form of /v1/embeddings"),
        (proxy.Answer(200, b'{"data": []}'), 502, "the embedder answered 0 vectors for 1 texts"),
        (proxy.Answer(200, b" " * 300_000), 502, "answers with more than"),
        (proxy.Answer(200, headers=(("content-encoding", "gzip"),)), 502, "compresses its answer"),
        (proxy.Answer(400, b'{"error": {"message": "too long"}}'), 400, "HTTP 400: too long"),
    ],
)
def test_an_embedder_in_trouble(http, faults, fault, status, said):
    """The answer says what failed, and nothing that the service says of keys."""
    text = f"in trouble {fault}"[:200]
    faults.always = lambda body: fault if text in body["input"] else None
    answer = query(http, text=text)
    assert (answer.status_code, said in answer.json()["message"]) == (status, True), answer.text
    assert "sk-123" not in answer.text
    faults.heal()
    assert found(http, text="fruit", search="text") == ["apple"]


def test_vectors_of_another_length(http, faults):
    """A model of other dimensions is told from one that is broken."""

    def shorten(answer):
        for item in answer["data"]:
            del item["embedding"][10:]
        return answer

    faults.always = proxy.Change(shorten)
    answer = query(http, text="short")
    assert answer.status_code == 502
    assert "the embedder's vectors have 10 dimensions; the index has 384" in answer.json()["message"]


def test_one_text_that_is_refused_is_not_its_neighbours_fault(http, faults):
    """Others that went to the embedder with it are answered."""
    refusal = proxy.Answer(400, b'{"error": "the text is poison"}')
    faults.always = lambda body: refusal if "poison" in body["input"] else proxy.Wait(0.1)
    rows = [{"good1": "one"}, {"bad": "poison"}, {"good2": "two"}, {"good3": "three"}, {"good4": "four"}]
    with concurrent.futures.ThreadPoolExecutor(len(rows)) as pool:
        answers = list(pool.map(lambda row: upsert(http, row).status_code, rows))
    assert answers == [200, 400, 200, 200, 200]
    mixed = upsert(http, {f"m{number}": f"text {number}" for number in range(5)} | {"bad": "poison"})
    assert mixed.status_code == 400
    assert "the text is poison" in mixed.json()["message"]
    assert http.get("/vectors/fetch", params={"ids": ["m0", "bad"]}).json()["vectors"] == {}


def test_a_request_does_not_outlast_its_time(make_fleet, embedder_proxy, faults):
    """An embedder that hangs costs no more than the request may take."""
    named = {"embedder": settings(embedder_proxy[1], timeoutSeconds=60, retries=10)}
    fleet = make_fleet(serving=SERVING, alone=True, named=named, REQUEST_TIMEOUT_SECONDS=1)
    faults.always = proxy.Wait(10)
    with fleet.http() as client:
        started = time.monotonic()
        answer = query(client, text="never")
        assert (answer.status_code, time.monotonic() - started < 8) == (504, True)
        assert "the embedder did not answer within" in answer.json()["message"]


def test_another_model_under_the_same_url(make_fleet, embedder_proxy, faults):
    """Nothing of it is written or searched, even by a new gateway; an empty index takes to it."""
    fleet = make_fleet(serving=SERVING, named={"embedder": settings(embedder_proxy[1], model="m")})
    with fleet.http() as client:
        assert upsert(client, ROWS).status_code == 200
        faults.always = proxy.Change(scramble)
        answer = upsert(client, {"new": "of another model"})
        assert answer.status_code == 502
        assert "another model than the one that made the index's vectors" in answer.json()["message"]
        fleet.gateway.kill()
        fleet.gateway.start()
        fleet.gateway.ready()
        for refused in (query(client, text="of another model"), upsert(client, {"new": "and again"})):
            assert (refused.status_code, "another model" in refused.json()["message"]) == (502, True)
        stats = client.post("/describe_index_stats", json={}).json()
        assert stats["totalVectorCount"] == len(ROWS)
        clear(client)
        assert upsert(client, ROWS).status_code == 200
        assert found(client, text="fruit")[0] == "apple"
        faults.heal()
        assert upsert(client, {"new": "of the first model"}).status_code == 502


def test_a_sibling_model_is_told_apart(make_fleet, embedder_url):
    """A real model that differs in other languages alone is another model all the same."""
    fleet = make_fleet(serving=SERVING, named={"embedder": settings(embedder_url)})
    with fleet.http() as client:
        assert upsert(client, ROWS).status_code == 200
    with embedder.serving("enpt") as other:
        path = fleet.folder / "index.json"
        document = json.loads(path.read_text())
        document["embedder"]["url"] = other
        path.write_text(json.dumps(document))
        fleet.gateway.stop()
        fleet.gateway.start()
        fleet.gateway.ready()
        with fleet.http() as client:
            answer = query(client, text="fruit")
            assert (answer.status_code, "another model" in answer.json()["message"]) == (502, True)


def test_the_index_keeps_its_memory_to_itself(http):
    """No caller sees, names or counts the rows by which it knows its model."""
    stats = http.post("/describe_index_stats", json={}).json()
    assert (stats["namespaces"], stats["totalVectorCount"]) == ({"": {"vectorCount": 3}}, 3)
    assert [one["name"] for one in http.get("/namespaces").json()["namespaces"]] == ["__default__"]
    for body in ({"deleteAll": True}, {"ids": ["probe-0"]}):
        answer = http.post("/vectors/delete", json=body | {"namespace": "__vectorfleet__"})
        assert (answer.status_code, "is not for users" in answer.json()["message"]) == (400, True)


def test_the_key_is_sent_rotates_and_is_never_logged(make_fleet, embedder_proxy, faults, tmp_path):
    """It is read anew for each request; where it can't be, the error says so."""
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    fleet = make_fleet(
        serving=SERVING,
        named={"embedder": settings(embedder_proxy[1], retries=0)},
        EMBEDDER_KEY_FILE=file,
        LOG_LEVEL="DEBUG",
    )
    with fleet.http() as client:
        assert query(client, text="one").status_code == 200
        file.write_text("another-key")
        assert query(client, text="two").status_code == 200
        sent = [seen.headers["authorization"] for seen in faults.seen]
        assert (sent[0], sent[-1]) == (f"Bearer {KEY}", "Bearer another-key")
        faults.always = proxy.Answer(400, b'{"error": "not with another-key"}')
        assert query(client, text="three").json()["message"].endswith("not with [the key]")
        file.unlink()
        answer = query(client, text="four")
        assert (answer.status_code, "can't be read" in answer.json()["message"]) == (502, True)
    assert KEY not in fleet.gateway.log
    assert "another-key" not in fleet.gateway.log


def test_no_request_chooses_where_texts_go(http):
    """The embedder's URL is the configuration's: a request that names one is refused."""
    for body in ({"embedder": {"url": "http://127.0.0.1:1"}}, {"url": "http://127.0.0.1:1"}):
        answer = query(http, text="a", **body)
        assert (answer.status_code, "unknown field" in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://169.254.169.254/latest", "no service may be at 169.254.169.254"),
        ("http://[fe80::1]/v1", "no service may be at fe80::1"),
        ("http://[::ffff:169.254.169.254]/v1", "no service may be at"),
        ("file:///etc/passwd", "begins with http:// or https://"),
        ("http://user:secret@embedder/v1", "takes no user, password"),
        ("http://embedder/v1?to=x", "takes no user, password, query"),
    ],
)
def test_urls_that_no_embedder_has(make_fleet, url, said):
    """The gateway does not start, says why, and does not repeat what may be a secret."""
    fleet = make_fleet(start=False, serving=SERVING, named={"embedder": settings(url)})
    fleet.gateway.start()
    assert fleet.gateway.process.wait(20) == 2
    assert said in fleet.gateway.log
    assert "secret" not in fleet.gateway.log


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0.0.0.0", "0"])
def test_names_that_lead_where_no_service_may_be(make_fleet, host):
    """What a name resolves to is looked at when a connection is made: no way of writing an address passes."""
    fleet = make_fleet(
        serving=SERVING, alone=True, start=False, named={"embedder": settings(f"http://{host}/v1")}
    )
    fleet.gateway.start()
    if host == "0.0.0.0":
        assert fleet.gateway.process.wait(20) == 2
        return
    fleet.gateway.ready()
    with fleet.http() as client:
        answer = query(client, text="a")
        assert (answer.status_code, "where no service may be" in answer.json()["message"]) == (502, True)
