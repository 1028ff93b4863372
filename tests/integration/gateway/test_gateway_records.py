"""The official client's records: texts in, and what is found for a text out, by real services."""

import pathlib
import re

import pinecone
import pytest
from services import reranker

RECORDS = [
    {"_id": "apple", "about": "A sweet red fruit that grows on trees", "year": 2024},
    {"_id": "bus", "about": "A big car that takes many people through the town", "year": 2025},
    {"id": "slate", "about": "A grey stone that splits into thin plates for roofs", "year": 2026},
]


@pytest.fixture(scope="module")
def index(fleet_of_texts):
    """The official client, and three records."""
    with pinecone.Pinecone(api_key="integration-key").Index(host=fleet_of_texts.host) as made:
        made.upsert_records("things", RECORDS)
        yield made


def ids(found):
    """Return the ids of a search's hits."""
    return [hit["_id"] for hit in found["result"]["hits"]]


def test_a_text_finds_by_words_and_by_meaning(index):
    """The row whose words are asked for, and the one that means what is asked; each with its fields."""
    found = index.search("things", {"inputs": {"text": "roofs"}, "top_k": 3})
    assert ids(found)[0] == "slate"
    assert found["result"]["hits"][0]["fields"] == {
        "about": "A grey stone that splits into thin plates for roofs",
        "year": 2026,
    }
    assert ids(index.search_records("things", {"inputs": {"text": "public transport"}, "top_k": 1})) == [
        "bus"
    ]


def test_fields_filters_ids_and_vectors(index):
    """As the client sends them; hits are the same when they come from the cache."""
    for _ in range(2):
        found = index.search(
            "things",
            {"inputs": {"text": "a thing"}, "top_k": 3, "filter": {"year": {"$gte": 2025}}},
            fields=["year"],
        )
        assert sorted((hit["_id"], hit["fields"]["year"]) for hit in found["result"]["hits"]) == [
            ("bus", 2025),
            ("slate", 2026),
        ]
        assert ids(index.search("things", {"id": "bus", "top_k": 1})) == ["bus"]
    values = index.fetch(["apple"], namespace="things").vectors["apple"].values
    both = {"inputs": {"text": "stone"}, "vector": {"values": values}, "top_k": 2}
    assert sorted(ids(index.search("things", both))) == ["apple", "slate"]


def test_hits_are_ordered_anew(index):
    """By the index's reranker, among the rows that were looked at."""
    found = index.search(
        "things",
        {"inputs": {"text": "vehicle for passengers"}, "top_k": 3},
        rerank={"model": reranker.MODEL, "rank_fields": ["about"], "top_n": 1},
    )
    assert ids(found) == ["bus"]
    with pytest.raises(pinecone.exceptions.PineconeApiException, match="the index's reranker is"):
        index.search(
            "things",
            {"inputs": {"text": "x"}, "top_k": 3},
            rerank={"model": "bge-reranker-v2-m3", "rank_fields": ["about"]},
        )


async def test_in_asyncio(index, fleet_of_texts):
    """The same from the client's other form."""
    client = pinecone.PineconeAsyncio(api_key="integration-key")
    async with client, client.IndexAsyncio(host=fleet_of_texts.host) as other:
        await other.upsert_records("others", [{"_id": "pear", "about": "A green fruit"}])
        found = await other.search("others", {"inputs": {"text": "fruit"}, "top_k": 5})
        assert ids(found) == ["pear"]
        assert (await other.describe_index_stats()).namespaces["others"].vector_count == 1


def test_the_readme_s_search_runs(fleet_of_texts):
    """Word for word, but for the host: the row that means what is asked."""
    readme = (pathlib.Path(__file__).parents[3] / "README.md").read_text()
    block = next(
        one for one in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "upsert_records" in one
    )
    names = {"key": "integration-key"}
    exec(block.replace("http://notes.default.svc", fleet_of_texts.host), names)
    assert ids(names["found"]) == ["bus"]
