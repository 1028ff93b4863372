"""Sparse values beside dense ones: CPU of a query against dense alone, recall, and relevance.

The values are what a client that counts BM25 itself sends: of a row how often it has each word, saturated by
the text's length, of a query the words' rarity, scaled so that a score is 0 to 1. Vectors are of length 1.
"""

import asyncio
import collections
import dataclasses
import gzip
import json
import math
import pathlib
import time
from collections.abc import Iterator, Sequence

import numpy as np
import options
import report
import shard
import text
import xxhash
from numpy.typing import NDArray

from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.text import analysis

K, K1, B = 10, 1.2, 0.75
BATCH, QUERIES = 500, 400
Matrix = NDArray[np.float32]
Weights = dict[int, float]


class Encoder:
    """Counts BM25 as a client does: its postings are the index's, its statistics its own."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._analyzer = analysis.analyzer(config.Language.ENGLISH)
        self.counted = [collections.Counter(self._terms(one)) for one in texts]
        self._average = sum(one.total() for one in self.counted) / max(1, len(texts))
        self._rows = collections.Counter(term for one in self.counted for term in one)

    def _terms(self, words: str) -> list[int]:
        return [xxhash.xxh32_intdigest(stem.encode()) for stem in self._analyzer.stems(words)]

    def row(self, number: int) -> Weights:
        """Return the sparse values of a row."""
        counted = self.counted[number]
        norm = K1 * (1 - B + B * counted.total() / self._average)
        return {term: often / (often + norm) for term, often in counted.items()}

    def query(self, words: str) -> Weights:
        """Return the sparse values of a query, which add up to 1; none of words that no row has."""
        every = len(self.counted)
        found = {
            term: math.log(1 + (every - having + 0.5) / (having + 0.5))
            for term in dict.fromkeys(self._terms(words))
            if (having := self._rows[term])
        }
        total = sum(found.values())
        return {term: weight / total for term, weight in found.items()}


@dataclasses.dataclass(frozen=True)
class Data:
    """Texts with their vectors, of length 1, and queries likewise."""

    texts: Sequence[str]
    vectors: Matrix
    asked: Sequence[str]
    queries: Matrix


def measure(given: options.Options) -> Iterator[report.Section]:
    """Ask hybrid queries beside dense ones; then judge, where the collection lies there too."""
    yield asyncio.run(_cost(_data(given)))
    judged = given.folder.parent / text.COLLECTION if given.folder else None
    if judged and judged.exists():
        yield asyncio.run(_relevance(judged))


def _data(given: options.Options) -> Data:
    queries = min(given.queries, QUERIES)
    if given.folder is None:
        random, made = np.random.default_rng(5), given.data()
        drawn = random.zipf(1.3, (given.rows, 30)) % 50_000
        texts = [" ".join(f"w{word}" for word in row) for row in drawn]
        asked = [" ".join(texts[row].split()[:8]) for row in random.integers(0, given.rows, queries)]
        return Data(texts, made.stored, asked, made.asked[:queries])
    with gzip.open(given.folder / "documents.jsonl.gz", "rt") as lines:
        texts = [json.loads(line)["description"] for line in lines][: given.rows]
    stored = np.load(given.folder / "vectors.f16.npy").astype(np.float32)[: given.rows]
    asked = json.loads((given.folder / "queries.json").read_text())[:queries]
    vectors = np.load(given.folder / "queries.f16.npy").astype(np.float32)[:queries]
    return Data(texts, _unit(stored), [_text_of(one) for one in asked], _unit(vectors))


def _text_of(query: str | dict[str, str]) -> str:
    return query if isinstance(query, str) else query["text"]


def _unit(vectors: Matrix) -> Matrix:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


async def _load(room: shard.Room, data: Data, encoder: Encoder) -> None:
    for start in range(0, len(data.texts), BATCH):
        numbers = range(start, min(start + BATCH, len(data.texts)))
        rows = shard_pb2.Rows(
            ids=[str(number) for number in numbers], vectors=data.vectors[start : start + BATCH].tobytes()
        )
        held = [encoder.row(number) for number in numbers]
        rows.fields.add(
            name=config.SPARSE,
            counts=map(len, held),
            indices=np.array([index for one in held for index in one], "<u4").tobytes(),
            vectors=np.array([value for one in held for value in one.values()], "<f4").tobytes(),
        )
        await room.served.write(shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=rows)))
    await room.settled()


def _query(dense: Matrix | None, words: Weights | None, share: float = 0.5, **how: int) -> shard_pb2.Query:
    """Return a query of which the dense part counts `share`, the sparse part the rest."""
    if words is None and dense is not None:
        return shard_pb2.Query(vector=dense.tobytes(), top_k=K, **how)
    query = shard_pb2.Query(top_k=K, **how)
    if dense is not None:
        query.parts.add(vectors=(share * dense).astype("<f4").tobytes(), weight=1)
    if words:
        weights = np.array(list(words.values())) * (1 if dense is None else 1 - share)
        query.parts.add(
            field=config.SPARSE,
            indices=np.array(list(words), "<u4").tobytes(),
            vectors=weights.astype("<f4").tobytes(),
            weight=1,
        )
    return query


async def _ask(room: shard.Room, query: shard_pb2.Query) -> tuple[float, list[str]]:
    """Return the CPU milliseconds that a query takes the shard, its parsing included, and what it finds."""
    started = time.process_time()
    reply = await room.served.search(shard_pb2.SearchRequest(queries=[query]))
    took = (time.process_time() - started) * 1000
    return took, list(reply.results[0].rows.ids)


_EXACT, _DENSE_EXACT = "dense and sparse, exact", "dense alone, exact"
_RIGHT = {
    "dense alone": _DENSE_EXACT,
    "sparse alone": "sparse alone",
    "dense and sparse": _EXACT,
    "dense and sparse, oversampling 1": _EXACT,
    _EXACT: _EXACT,
    _DENSE_EXACT: _DENSE_EXACT,
}
"""The ways to ask, and the one whose answer is right."""


def _ways(vector: Matrix, words: Weights) -> dict[str, shard_pb2.Query]:
    hybrid = ({}, {"oversampling": 1}, {"exact": True})
    made = [_query(vector, None), _query(None, words), *(_query(vector, words, **how) for how in hybrid)]
    return dict(zip(_RIGHT, [*made, _query(vector, None, exact=True)], strict=True))


async def _cost(data: Data) -> report.Section:
    options.say(f"{len(data.texts):,} texts are encoded")
    encoder = Encoder(data.texts)
    words = [encoder.query(one) for one in data.asked]
    async with shard.room(data.vectors.shape[1], metric=config.Metric.DOTPRODUCT) as room:
        await _load(room, data, encoder)
        options.say(f"{len(words)} queries in each way, in turns")
        took: dict[str, list[float]] = collections.defaultdict(list)
        found: dict[str, list[list[str]]] = collections.defaultdict(list)
        for warm in (False, True):
            for vector, pairs in zip(data.queries, words, strict=True):
                for way, query in _ways(vector, pairs).items():
                    milliseconds, ids = await _ask(room, query)
                    if warm:
                        took[way].append(milliseconds)
                        found[way].append(ids)
        held = [view.segment.descriptor for view in room.opened.shard.snapshot.sealed]
    rows = [
        [way, _recall(found[way], found[_RIGHT[way]]), float(np.mean(times)), *np.percentile(times, (50, 95))]
        for way, times in took.items()
    ]
    count, pairs_held = len(data.texts), sum(one.sparse_values for one in held)
    bytes_held = sum(
        summed.bytes for one in held for name, summed in one.files.items() if name.startswith("sparse")
    )
    shared = _recall(found[_DENSE_EXACT], found[_EXACT])
    said = (
        f"{count:,} texts in {len(held)} segment(s), {pairs_held / count:.1f} sparse values a row, "
        f"{bytes_held / max(1, pairs_held):.1f} bytes each on the disk; {len(words)} queries of "
        f"{np.mean([len(one) for one in words]):.1f} words, k 10, one thread. CPU milliseconds of the shard, "
        "from the request's message to the answer's; recall is against the exact answer to the same "
        "question. "
        f"The best by dense values alone are {shared:.2f} of the best by both."
    )
    return report.Section("Sparse values", said, ["query", "recall@10", "CPU ms, mean", "p50", "p95"], rows)


def _recall(found: Sequence[list[str]], right: Sequence[list[str]]) -> float:
    return float(np.mean([len(set(a) & set(b)) / max(1, len(b)) for a, b in zip(found, right, strict=True)]))


async def _relevance(folder: pathlib.Path) -> report.Section:
    options.say("relevance on a judged collection")
    with gzip.open(folder / "documents.jsonl.gz", "rt") as lines:
        documents = [json.loads(line) for line in lines]
    asked = [query["text"] for query in json.loads((folder / "queries.json").read_text())]
    texts = [f"{document['title']} {document['text']}" for document in documents]
    vectors, queries = (
        _unit(np.load(folder / f"{name}-minilm.f16.npy").astype(np.float32))
        for name in ("vectors", "queries")
    )
    data, grades = Data(texts, vectors, asked, queries), text.grades_of(folder / "qrels.txt")
    ids, encoder = [str(document["id"]) for document in documents], Encoder(texts)
    rows = []
    async with shard.room(vectors.shape[1], metric=config.Metric.DOTPRODUCT) as room:
        await _load(room, data, encoder)
        for share in (1.0, 0.7, 0.5, 0.3, 0.0):
            found: dict[str, list[str]] = {}
            for words, vector in zip(asked, queries, strict=True):
                pairs = encoder.query(words) if share < 1 else None
                _, rows_found = await _ask(room, _query(vector if share else None, pairs, share))
                found[words] = [ids[int(one)] for one in rows_found]
            ranked = text.ndcg(found.__getitem__, asked, grades)
            rows.append([f"{share:g} dense + {1 - share:g} sparse", ranked])
    said = f"{len(documents):,} texts, {len(asked)} queries, BM25 (k1 {K1}, b {B}) as sparse values."
    return report.Section("Relevance of dense and sparse values, Cranfield", said, ["", "nDCG@10"], rows)
