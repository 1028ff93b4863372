"""langchain-pinecone and data frames on an index of four dimensions; run in an environment that has them."""

import asyncio
import sys

import pandas
import pinecone
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_pinecone import PineconeVectorStore


class Plain(DeterministicFakeEmbedding):
    """Vectors that a text always has, of Python's own numbers, which are all that Pinecone's client takes."""

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text."""
        return [float(one) for one in super().embed_query(text)]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts."""
        return [self.embed_query(text) for text in texts]


host, hybrid_host, key = sys.argv[1:]
embedding = Plain(size=4)
index = pinecone.Pinecone(api_key=key).Index(host=host)
store = PineconeVectorStore(index=index, embedding=embedding, namespace="langchain")

texts = ["red apple", "green pear", "brick", "blue sea", "grey stone"]
ids = store.add_texts(texts, metadatas=[{"n": number} for number in range(5)], ids=list("abcde"))
assert ids == list("abcde"), ids
found = store.similarity_search_with_score("brick", k=2)
assert found[0][0].page_content == "brick", found
assert found[0][0].metadata == {"n": 2.0}, found
assert abs(found[0][1] - 1) < 1e-5, found
assert len(store.similarity_search("brick", k=5, filter={"n": {"$lt": 2}})) == 2
assert store.similarity_search_with_relevance_scores("blue sea", k=1)[0][0].page_content == "blue sea"
several = store.max_marginal_relevance_search("brick", k=3, fetch_k=5)
assert len({one.page_content for one in several}) == 3, several
retriever = store.as_retriever(search_kwargs={"k": 1})
assert retriever.invoke("green pear")[0].page_content == "green pear"
store.delete(ids=["a"])
assert len(store.similarity_search("red apple", k=10)) == 4
store.delete(filter={"n": {"$gte": 4}})
assert len(store.similarity_search("red apple", k=10)) == 3


async def asynchronously() -> None:
    """The asyncio form of the same."""
    other = PineconeVectorStore(
        embedding=embedding, namespace="async", pinecone_api_key=key, host=host, index_name=None
    )
    await other.aadd_texts(texts, ids=list("vwxyz"))
    best = await other.asimilarity_search("blue sea", k=1)
    assert best[0].page_content == "blue sea", best
    assert len(await other.amax_marginal_relevance_search("brick", k=2, fetch_k=5)) == 2
    await other.adelete(ids=["v"])
    assert len(await other.asimilarity_search("blue sea", k=10)) == 4
    await other.adelete(delete_all=True)
    assert await other.asimilarity_search("blue sea", k=10) == []


asyncio.run(asynchronously())
store.delete(delete_all=True)

frame = pandas.DataFrame(
    {
        "id": [f"r{number}" for number in range(250)],
        "values": [[1.0, number / 250, 0.5, 0.1] for number in range(250)],
        "metadata": [{"n": number} for number in range(250)],
    }
)
reply = index.upsert_from_dataframe(frame, namespace="frame", batch_size=100, show_progress=False)
assert reply.upserted_count == 250, reply
assert index.describe_index_stats().namespaces["frame"].vector_count == 250
assert index.fetch(["r7"], namespace="frame").vectors["r7"].metadata == {"n": 7.0}

hybrid = pinecone.Pinecone(api_key=key).Index(host=hybrid_host)
pairs = {"indices": [7, 2**32 - 1], "values": [0.5, 2.0]}
frame["sparse_values"] = [pairs if number % 2 else None for number in range(250)]
assert hybrid.upsert_from_dataframe(frame, batch_size=100, show_progress=False).upserted_count == 250
rows = hybrid.fetch(["r7", "r8"]).vectors
assert (list(rows["r7"].sparse_values.indices), rows["r8"].sparse_values) == ([7, 2**32 - 1], None)
sys.stdout.write("langchain-pinecone and data frames: done\n")
