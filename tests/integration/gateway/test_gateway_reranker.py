"""The first matches ordered anew by a real reranker: scores, depth, fusion, faults."""

import json

import pytest
from services import embedder, proxy, reranker

TEXTS = {
    "apple": "A sweet red fruit that grows on trees",
    "bus": "A big car that takes many people through the town",
    "slate": "A grey stone that splits into thin plates for roofs",
    "cherry": "A small red fruit with a stone",
}
QUESTION = "public transport in a city"


@pytest.fixture(scope="module")
def behind():
    """A proxy before a reranker, and its base URL."""
    with reranker.serving() as url, proxy.before(url) as made:
        yield made


@pytest.fixture
def faults(behind):
    """The proxy, healthy."""
    behind[0].heal()
    yield behind[0]
    behind[0].heal()


@pytest.fixture(scope="module")
def fleet(make_fleet, behind, tmp_path_factory):
    """Two shards with a reranker that wants a key; the vectors know nothing of the texts."""
    key = tmp_path_factory.mktemp("key") / "key"
    key.write_text("the-rerankers-key")
    settings = {"url": behind[1], "model": reranker.MODEL, "batchSize": 3, "maxCharacters": 60, "retries": 1}
    return make_fleet(
        schema={"text": ["about"]}, named={"reranker": settings}, RERANKER_KEY_FILE=key, LOG_LEVEL="DEBUG"
    )


@pytest.fixture
def http(fleet, faults):
    """A client of the index, which holds four rows of text, and one without."""
    rows = [
        {"id": row_id, "values": [1, number, 0, 0], "metadata": {"about": text, "other": f"no {number}"}}
        for number, (row_id, text) in enumerate(TEXTS.items())
    ]
    rows.append({"id": "silent", "values": [1, 0, 0, 0]})
    with fleet.http() as client:
        assert client.post("/vectors/upsert", json={"vectors": rows}).status_code == 200
        yield client


def query(client, **body):
    """Return a query's answer, by the vector that is nearest to the first rows."""
    asked = {"topK": 4, "vector": [1, 0, 0, 0], "rerank": {"query": QUESTION}} | body
    return client.post("/query", json=asked)


def found(client, **body):
    """Return the ids that a query finds, best first."""
    answer = query(client, **body)
    assert answer.status_code == 200, answer.text
    return [match["id"] for match in answer.json()["matches"]]


def test_matches_are_ordered_by_the_service(http):
    """Scores are its own; a row without a text is left out, and counted."""
    answer = query(http, explain=True).json()
    model = embedder.model()
    cut = {row_id: text[:60] for row_id, text in TEXTS.items()}
    scores = {row_id: float(model.passage(text) @ model.query(QUESTION)) for row_id, text in cut.items()}
    assert [match["id"] for match in answer["matches"]] == sorted(scores, key=scores.get, reverse=True)
    assert answer["matches"][0]["id"] == "bus"
    for match in answer["matches"]:
        assert match["score"] == pytest.approx(scores[match["id"]], abs=1e-4)
    told = answer["explain"]["rerank"]
    assert (told["field"], told["candidates"], told["withoutText"]) == ("about", 50, 1)
    assert told["milliseconds"] > 0
    before = {match["id"]: match["explain"]["before"]["rank"] for match in answer["matches"]}
    assert before == {"apple": 1, "bus": 3, "slate": 4, "cherry": 5}


def test_no_more_is_looked_at_than_asked(http, faults):
    """The first candidates alone; what stood behind them can't come forward."""
    assert found(http, topK=1, rerank={"query": QUESTION, "candidates": 2}) == ["apple"]
    assert found(http, topK=1, rerank={"query": QUESTION, "candidates": 5}) == ["bus"]
    sent = [seen.body["documents"] for seen in faults.seen]
    assert max(map(len, sent)) <= 3
    assert all(len(text) <= 60 for batch in sent for text in batch)


def test_metadata_is_shown_only_where_asked(http):
    """That it was read for the service does not show."""
    assert all("metadata" not in match for match in query(http).json()["matches"])
    shown = query(http, includeMetadata=True).json()["matches"]
    assert shown[0]["metadata"] == {"about": TEXTS["bus"], "other": "no 1"}


def test_a_hybrid_query_is_reranked_after_fusion(http):
    """The query's text is what is judged by; the explanation has both lists and the place before."""
    answer = query(http, text="stone fruit", rerank={}, explain=True).json()
    assert answer["matches"][0]["id"] == "cherry"
    assert answer["explain"].keys() == {"vector", "text", "fusion", "rerank"}
    assert answer["matches"][0]["explain"].keys() == {"vector", "text", "before"}


def test_another_field(http):
    """A query may name it."""
    told = query(http, rerank={"query": "number 2", "field": "other"}, explain=True).json()
    assert told["explain"]["rerank"]["field"] == "other"
    assert len(told["matches"]) == len(TEXTS)
    assert found(http, rerank={"query": "x", "field": "nothing"}) == []


def test_the_key_is_sent_and_not_logged(fleet, http, faults):
    """As a bearer, with the model's name."""
    assert found(http)
    seen = faults.seen[0]
    assert (seen.path, seen.body["model"]) == ("/v1/rerank", reranker.MODEL)
    assert seen.headers["authorization"] == "Bearer the-rerankers-key"
    assert "the-rerankers-key" not in fleet.gateway.log
    assert 'vectorfleet_gateway_reranker_calls_total{outcome="ok"}' in fleet.gateway.scrape()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"rerank": {}}, "rerank.query is needed where a query has no text"),
        ({"rerank": {"query": " "}}, "text is blank"),
        ({"rerank": {"query": "a", "candidates": 3}}, "rerank.candidates is 3; it must be 4 to 1000"),
        ({"topK": 1001}, "rerank.candidates is 1001; it must be 1001 to 1000"),
        ({"rerank": {"query": "a", "model": "m"}}, "unknown field `model`"),
    ],
)
def test_queries_that_are_refused(http, faults, body, said):
    """Before any shard or the service is asked."""
    answer = query(http, **body)
    assert (answer.status_code, said in answer.json()["message"]) == (400, True), answer.text
    assert faults.seen == []


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (proxy.Answer(500), 503, "the reranker answers HTTP 500"),
        (proxy.Answer(None), 503, "the reranker can't be reached"),
        (proxy.Answer(403), 502, "the reranker does not take the key"),
        (proxy.Answer(404), 502, "look at its URL and its model"),
        (proxy.Answer(307, headers=(("location", "http://127.0.0.1:1/"),)), 502, "redirects"),
        (proxy.Answer(200, b"[]"), 502, "not of the form of /v1/rerank"),
        (proxy.Answer(200, b'{"results": []}'), 502, "the reranker answered 0 scores for"),
        (
            proxy.Change(lambda answer: {"results": [one | {"index": 0} for one in answer["results"]]}),
            502,
            "the reranker answered",
        ),
    ],
)
def test_a_reranker_in_trouble(http, faults, fault, status, said):
    """The answer says what failed; a query that does not ask for it is answered."""
    faults.always = fault
    answer = query(http)
    assert (answer.status_code, said in answer.json()["message"]) == (status, True), answer.text
    assert http.post("/query", json={"topK": 1, "vector": [1, 0, 0, 0]}).status_code == 200


def test_what_passes_is_tried_again(http, faults):
    """One failure costs time alone."""
    faults.fail_next(proxy.Answer(503))
    assert found(http)[0] == "bus"


def test_an_index_without_a_reranker(make_fleet):
    """The message says what would make it work."""
    with make_fleet(shards=1).http() as client:
        answer = query(client)
        assert answer.status_code == 400
        assert "the index has no reranker: name one in its manifest" in json.loads(answer.text)["message"]
