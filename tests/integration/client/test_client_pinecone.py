"""The official Pinecone client, unchanged, against `vectorfleet serve`."""

import asyncio

import numpy as np
import pinecone
import pytest

KEY = "test-key"
ROWS = [(f"r{number}", [float(number), 0.0, 0.0, 1.0], {"n": number}) for number in range(20)]


def test_the_official_client_writes_and_reads(served):
    """Upsert, query with a filter, fetch, update, list, stats and delete."""
    with pinecone.Pinecone(api_key=KEY).Index(host=served.url) as index:
        assert index.upsert(vectors=ROWS, namespace="pc").upserted_count == 20
        found = index.query(
            vector=[3.0, 0.0, 0.0, 1.0],
            top_k=2,
            namespace="pc",
            filter={"n": {"$gt": 3}},
            include_metadata=True,
        )
        assert [match.id for match in found.matches] == ["r4", "r5"]
        assert found.matches[0].metadata == {"n": 4}
        assert np.allclose(index.fetch(ids=["r7"], namespace="pc").vectors["r7"].values, ROWS[7][1])
        index.update(id="r7", set_metadata={"extra": "x"}, namespace="pc")
        assert index.fetch(ids=["r7"], namespace="pc").vectors["r7"].metadata == {"n": 7, "extra": "x"}
        listed = [id_ for page in index.list(prefix="r1", namespace="pc") for id_ in page]
        assert listed == sorted(name for name, _, _ in ROWS if name.startswith("r1"))
        assert index.describe_index_stats().namespaces["pc"].vector_count == 20
        index.delete(delete_all=True, namespace="pc")
        assert "pc" not in index.describe_index_stats().namespaces


async def test_its_asyncio_form_does_too(served):
    """The asynchronous index, several requests at once."""
    async with pinecone.Pinecone(api_key=KEY).IndexAsyncio(host=served.url) as index:
        await index.upsert(vectors=ROWS, namespace="pca")
        asked = [index.query(vector=row[1], top_k=1, namespace="pca") for row in ROWS]
        assert [answer.matches[0].id for answer in await asyncio.gather(*asked)] == [row[0] for row in ROWS]


def test_a_wrong_key_is_its_own_error(served):
    """The official client knows it as unauthorized."""
    with (
        pinecone.Pinecone(api_key="another").Index(host=served.url) as index,
        pytest.raises(pinecone.exceptions.UnauthorizedException),
    ):
        index.describe_index_stats()
