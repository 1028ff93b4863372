"""The SDK, both forms, against a real process: what was acknowledged is what is read."""

import asyncio

import numpy as np
import pytest

import vectorfleet
from vectorfleet import aio

KEY = "test-key"


@pytest.fixture
def namespace(request):
    """A namespace for each test."""
    return request.node.name


@pytest.fixture
def index(served):
    """A client for threads."""
    with served.client() as client:
        yield client


def test_a_row_comes_back_bit_for_bit(index, namespace):
    """float32 for float32, and the metadata as it was."""
    values = np.array([0.1, -1e-30, 3.4e14, 1 / 3], np.float32)
    metadata = {"kind": "é", "year": 2004, "ratio": 0.5, "new": True, "tags": ["a", "b"]}
    assert index.upsert([("a", values, metadata)], namespace=namespace).upserted_count == 1
    row = index.fetch(["a", "b"], namespace=namespace).vectors["a"]
    assert row.values.tobytes() == values.tobytes()
    assert row.metadata == metadata


def test_queries_give_what_exact_search_gives(index, namespace):
    """Ids and squared distances of the ten nearest, best first; filters, values and metadata as asked."""
    matrix = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    rows = ((f"r{number}", values, {"even": number % 2 == 0}) for number, values in enumerate(matrix))
    assert index.upsert_batch(rows, namespace=namespace).successful == 3000
    asked = matrix[7] + 0.01
    distances = ((matrix - asked) ** 2).sum(axis=1)

    matches = index.query(asked, namespace=namespace, include_values=True).matches
    assert [match.id for match in matches] == [f"r{number}" for number in np.argsort(distances)[:10]]
    assert np.allclose([match.score for match in matches], np.sort(distances)[:10], rtol=1e-4, atol=1e-6)
    assert np.array_equal(matches[0].values, matrix[int(matches[0].id[1:])])

    even = np.argsort(distances[::2])[:10] * 2
    filtered = index.query(asked, namespace=namespace, filter={"even": True}, include_metadata=True).matches
    assert [match.id for match in filtered] == [f"r{number}" for number in even]
    assert filtered[0].metadata == {"even": True}
    assert index.query(id="r7", namespace=namespace).matches[0].id == "r7"


def test_updates_and_deletes_are_seen_by_the_next_read(index, namespace):
    """Metadata merges, deletes by id and by filter take what they name and nothing else."""
    index.upsert([(name, [1, 2, 3, 4], {"x": 1}) for name in "abcd"], namespace=namespace)
    index.update("a", values=[4, 3, 2, 1], set_metadata={"y": 2}, namespace=namespace)
    row = index.fetch(["a"], namespace=namespace).vectors["a"]
    assert (row.values.tolist(), row.metadata) == ([4, 3, 2, 1], {"x": 1, "y": 2})

    index.delete(["b", "nothing"], namespace=namespace)
    index.delete(filter={"y": 2}, namespace=namespace)
    assert sorted(index.fetch(["a", "b", "c", "d"], namespace=namespace).vectors) == ["c", "d"]
    index.delete(delete_all=True, namespace=namespace)
    assert index.fetch(["c", "d"], namespace=namespace).vectors == {}


def test_lists_walk_all_ids_in_order(index, namespace):
    """Over several pages, by prefix, none twice."""
    names = [*(f"é{number:03}" for number in range(150)), "ê"]
    index.upsert_batch(((name, [0, 0, 0, 1]) for name in names), namespace=namespace)
    pages = list(index.list("é", namespace=namespace, page_size=40))
    assert [len(page.ids) for page in pages] == [40, 40, 40, 30]
    assert [id_ for page in pages for id_ in page.ids] == names[:-1]
    long_list = index.fetch(names, namespace=namespace).vectors
    assert sorted(long_list) == names


def test_stats_and_namespaces_count_rows(index, namespace):
    """A namespace is there while it has rows."""
    index.upsert([("a", [1, 0, 0, 0])], namespace=namespace)
    stats = index.stats()
    assert (stats.dimension, stats.namespaces[namespace].vector_count) == (4, 1)
    assert vectorfleet.Namespace(namespace, 1) in list(index.namespaces())
    assert index.namespace(namespace).record_count == 1
    index.delete_namespace(namespace)
    assert namespace not in index.stats().namespaces
    with pytest.raises(vectorfleet.NotFoundError):
        index.namespace(namespace)


def test_a_batch_that_is_refused_does_not_stop_the_load(index, namespace):
    """Its ids are named, nothing of it is written, and all others are."""
    rows = [(f"r{number:02}", [1, 2, 3] if number == 5 else [1, 2, 3, 4]) for number in range(20)]
    result = index.upsert_batch(rows, namespace=namespace, batch_size=4)
    assert (result.total, result.successful, result.failed, result.success_rate) == (20, 16, 4, 0.8)
    (failure,) = result.errors
    assert failure.ids == ("r04", "r05", "r06", "r07")
    assert "3" in str(failure.error)
    assert "4" in str(failure.error)
    written = {id_ for page in index.list(namespace=namespace) for id_ in page.ids}
    assert written == {name for name, _ in rows} - set(failure.ids)


def test_of_a_repeated_id_the_last_row_counts(index, namespace):
    """However many batches are in flight."""
    rows = ((f"r{number % 10}", [number, 0, 0, 0]) for number in range(400))
    assert index.upsert_batch(rows, namespace=namespace, batch_size=7, concurrency=8).failed == 0
    found = index.fetch([f"r{number}" for number in range(10)], namespace=namespace).vectors
    assert {int(row.values[0]) for row in found.values()} == set(range(390, 400))


def test_refusals_have_their_classes(served, index):
    """A wrong key, a wrong request and a body above the limit."""
    with (
        vectorfleet.Client(served.url, "another-key") as stranger,
        pytest.raises(vectorfleet.AuthenticationError),
    ):
        stranger.stats()
    with pytest.raises(vectorfleet.BadRequestError, match=r"10,?000"):
        index.query([0, 0, 0, 1], top_k=10_001)
    with pytest.raises(vectorfleet.TooLargeError):
        index.upsert([("a", [0, 0, 0, 1], {"x": "y" * (33 * 1024 * 1024)})])
    assert index.stats().dimension == 4


async def test_the_asyncio_form_does_the_same(served, namespace):
    """Load, search at once, read, list, delete."""
    matrix = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32)

    async def source():
        for number, values in enumerate(matrix):
            yield f"r{number}", values

    async with aio.Client(served.url, KEY) as index:
        result = await index.upsert_batch(source(), namespace=namespace, batch_size=50)
        assert result.success_rate == 1.0
        asked = [index.query(vector, top_k=1, namespace=namespace) for vector in matrix[:50]]
        answers = await asyncio.gather(*asked)
        assert [answer.matches[0].id for answer in answers] == [f"r{number}" for number in range(50)]
        pages = [page async for page in index.list(namespace=namespace)]
        assert sum(len(page.ids) for page in pages) == 500
        await index.delete(delete_all=True, namespace=namespace)
        assert namespace not in (await index.stats()).namespaces
