"""`/query` by text, and by vector and text together, over exact shards in memory."""

import pytest

from vectorfleet_gateway import questions

ROWS = [
    ("both", [1.0, 0.1], {"body": "red apple"}),
    ("near", [1.0, 0.0], {"body": "a stone"}),
    ("said", [0.0, 1.0], {"body": "apple apple"}),
]


@pytest.fixture
async def gateway(make_gateway):
    """An app over two twins with one text field and three rows."""
    made = make_gateway(schema={"text": ["body"]})
    await made.upsert(ROWS)
    return made


async def ask(gateway, **body):
    """Return a query's answer."""
    answer = await gateway.ask("POST", "/query", {"topK": 3} | body)
    assert answer.status == 200, answer.body
    return answer.json


async def ids(gateway, **body):
    """Return the ids that a query finds, best first."""
    return [match["id"] for match in (await ask(gateway, **body))["matches"]]


async def test_text_alone(gateway):
    """Rows that have none of the words are not found."""
    assert await ids(gateway, text="apple") == ["said", "both"]
    assert await ids(gateway, text="apple", filter={"body": "red apple"}) == ["both"]


async def test_text_is_the_better_the_greater_under_every_metric(make_gateway):
    """Euclidean distance is the better the smaller, BM25 is not."""
    gateway = make_gateway(schema={"text": ["body"]}, metric="euclidean", shards=3)
    await gateway.upsert(ROWS)
    assert await ids(gateway, text="apple") == ["said", "both"]


async def test_vector_and_text_are_fused_by_rank(gateway):
    """What both lists have comes before what one list has first."""
    matches = (await ask(gateway, vector=[1.0, 0.0], text="apple"))["matches"]
    assert [match["id"] for match in matches] == ["said", "both", "near"]
    assert matches[0]["score"] == pytest.approx(1 / 61 + 1 / 63)
    assert matches[1]["score"] == pytest.approx(1 / 62 + 1 / 62)
    assert matches[2]["score"] == pytest.approx(1 / 61)


@pytest.mark.parametrize(("alpha", "first"), [(1, "near"), (0, "said"), (0.6, "both")])
async def test_weights_choose_between_the_two(gateway, alpha, first):
    """Alpha 1 is the vector alone, 0 the text alone."""
    fusion = {"method": "weighted", "alpha": alpha}
    assert (await ids(gateway, vector=[1.0, 0.0], text="apple", fusion=fusion))[0] == first


async def test_a_row_and_a_text(gateway):
    """The row of an id lends its vector; one that does not exist leaves nothing to ask."""
    by_id = await ids(gateway, id="near", text="apple")
    assert by_id == await ids(gateway, vector=[1.0, 0.0], text="apple")
    assert await ids(gateway, id="none", text="apple") == []


async def test_each_list_is_deeper_than_the_answer(gateway):
    """100 candidates of each, as many as are to be returned, or as the query says."""
    for body, wanted in [
        ({}, questions.CANDIDATES),
        ({"topK": 500}, 500),
        ({"fusion": {"candidates": 20}}, 20),
    ]:
        await ask(gateway, vector=[1.0, 0.0], text="apple", **body)
        asked = [query.top_k for request in gateway.shards[0].calls[-2:] for query in request.queries]
        assert asked == [wanted, wanted]


async def test_a_hybrid_query_returns_no_more_than_asked(gateway):
    """TopK is of the fused list."""
    assert len(await ids(gateway, vector=[1.0, 0.0], text="apple", topK=2)) == 2


async def test_values_and_metadata_of_fused_rows(gateway):
    """As with any other query, whichever list a row is from."""
    body = {"vector": [1.0, 0.0], "text": "apple", "includeValues": True, "includeMetadata": True}
    matches = {match["id"]: match for match in (await ask(gateway, **body))["matches"]}
    for row_id, values, metadata in ROWS:
        assert matches[row_id]["values"] == pytest.approx(values)
        assert matches[row_id]["metadata"] == metadata


async def test_an_explanation(gateway):
    """Each list with its shards' own words, the fusion, and each match's rank and score in both."""
    answer = await ask(gateway, vector=[1.0, 0.0], text="apple", explain=True, topK=1)
    told = answer["explain"]
    assert told["fusion"] == {"method": "rrf", "candidates": 100, "k": 60}
    assert told["vector"]["candidates"] == 3
    assert sum(shard["rows"] for shard in told["text"]["shards"]) == 2
    assert told["text"]["milliseconds"] > 0
    (match,) = answer["matches"]
    assert match["explain"]["vector"]["rank"] == 3
    assert match["explain"]["text"] == {"rank": 1, "score": 2.0}


async def test_what_was_not_asked_is_not_told(gateway):
    """An answer without `explain` has Pinecone's fields alone."""
    answer = await ask(gateway, vector=[1.0, 0.0], text="apple")
    assert answer.keys() == {"matches", "namespace", "usage"}
    assert all(match.keys() == {"id", "values", "score"} for match in answer["matches"])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"text": " "}, "text is blank"),
        ({"text": "x" * 8_193}, "at most 8192 are taken"),
        ({"text": "a", "params": {"efSearch": 9}}, "params is of a search by vector"),
        ({"text": "a", "fusion": {}}, "fusion is of a query by vector and text"),
        ({"vector": [1.0, 0.0], "fusion": {}}, "fusion is of a query by vector and text"),
        ({"text": "a", "vector": [1.0, 0.0], "fusion": {"method": "sum"}}, "Invalid enum value 'sum'"),
        (
            {"text": "a", "vector": [1.0, 0.0], "fusion": {"alpha": 0.5}},
            "fusion.alpha is of the method weighted",
        ),
        (
            {"text": "a", "vector": [1.0, 0.0], "fusion": {"method": "weighted", "k": 1}},
            "fusion.k is of the method rrf",
        ),
        (
            {"text": "a", "vector": [1.0, 0.0], "fusion": {"method": "weighted", "alpha": 1.5}},
            "fusion.alpha is 1.5; it must be 0 to 1",
        ),
        ({"text": "a", "vector": [1.0, 0.0], "fusion": {"k": 0}}, "fusion.k is 0; it must be 1"),
        (
            {"text": "a", "vector": [1.0, 0.0], "fusion": {"candidates": 2}},
            "fusion.candidates is 2; it must be 3",
        ),
        ({"vector": [1.0, 0.0], "params": {"probes": 0}}, "params.probes is 0"),
        ({"vector": [1.0, 0.0], "params": {"oversampling": 101}}, "params.oversampling is 101"),
    ],
)
async def test_queries_that_contradict_themselves(gateway, body, said):
    """What would do nothing is refused, and so is what is out of bounds."""
    answer = await gateway.ask("POST", "/query", {"topK": 3} | body)
    assert answer.status == 400
    assert said in answer.json["message"]


async def test_an_index_without_text(make_gateway):
    """The message says what would make it work."""
    answer = await make_gateway().ask("POST", "/query", {"topK": 1, "text": "apple"})
    assert answer.status == 400
    assert "the index has no text field to search" in answer.json["message"]


async def test_parameters_travel(gateway):
    """How hard to search goes to the shards with the vector."""
    params = {"efSearch": 5, "probes": 6, "oversampling": 7}
    await ask(gateway, vector=[1.0, 0.0], params=params, explain=True)
    (asked,) = gateway.shards[0].calls[-1].queries
    assert (asked.ef_search, asked.probes, asked.oversampling, asked.explain) == (5, 6, 7, True)


@pytest.mark.parametrize(
    ("generation", "sent"),
    [
        ({}, (100, 0, 0)),
        ({"hnsw": {"efSearch": 64}}, (64, 0, 0)),
        ({"engine": "flat"}, (0, 0, 0)),
        ({"engine": "ivf", "ivf": {"probes": 9}}, (0, 9, 0)),
        ({"quantization": {"kind": "sq8", "oversampling": 6}}, (100, 0, 6)),
    ],
)
async def test_the_index_says_how_hard_to_search(make_gateway, generation, sent):
    """Its own values go with each query, so that a change of them reaches shards that run."""
    made = make_gateway(**generation)
    await ask(made, vector=[1.0, 0.0])
    (asked,) = made.shards[0].calls[-1].queries
    assert (asked.ef_search, asked.probes, asked.oversampling) == sent
