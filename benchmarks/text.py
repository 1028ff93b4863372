"""Text search: what indexing and queries cost, and relevance beside bm25s on a judged collection."""

import asyncio
import gzip
import json
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

import bm25s
import numpy as np
import options
import report
import shard
import Stemmer

from vectorfleet_shardnode import text_search
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.segments import part
from vectorfleet_shardnode.text import analysis, postings

COLLECTION = "cranfield"
Rank = Callable[[str], Sequence[str]]


def measure(given: options.Options) -> Iterator[report.Section]:
    """Index texts and ask; then judge, where the collection lies beside the vectors' folder."""
    yield asyncio.run(_cost(*_texts(given)))
    judged = given.folder.parent / COLLECTION if given.folder else None
    if judged and judged.exists():
        yield asyncio.run(_relevance(judged))


def _texts(given: options.Options) -> tuple[list[str], list[str]]:
    """Return texts and queries: descriptions of packages, or words drawn by Zipf's law."""
    documents = given.folder / "documents.jsonl.gz" if given.folder else None
    if documents and documents.exists():
        with gzip.open(documents, "rt") as lines:
            texts = [json.loads(line)["description"] for line in lines][: given.rows]
    else:
        random = np.random.default_rng(5)
        drawn = random.zipf(1.3, (given.rows, 30)) % 50_000
        texts = [" ".join(f"w{word}" for word in row) for row in drawn]
    return texts, [" ".join(text.split()[:3]) for text in texts[:: max(1, len(texts) // 300)]]


async def _cost(texts: list[str], queries: list[str]) -> report.Section:
    options.say(f"{len(texts):,} texts are indexed")
    analyzer = analysis.analyzer(config.Language.ENGLISH)
    begin = time.process_time()
    terms = [analyzer.terms(text) for text in texts]
    analysed = time.process_time()
    made = postings.of_rows(terms)
    done = time.process_time()
    held = sum(array.nbytes for array in (made.terms, made.starts, made.rows, made.counts, made.lengths))
    async with shard.room(4, config.Schema(text=("text",))) as room:
        await _load(room, texts)
        state, took = room.opened.shard.snapshot, []
        for query in queries:
            started = time.perf_counter()
            _, place = text_search.search(state, text_search.Question("", query, 10, None))
            state.take(place, part.Fields(values=False, metadata=True))
            took.append((time.perf_counter() - started) * 1000)
        parts = len(state.sealed)
    micro = 1e6 / len(texts)
    rows = [
        ["analysis, CPU µs a row", (analysed - begin) * micro],
        ["postings, CPU µs a row", (done - analysed) * micro],
        ["terms a row", sum(map(len, terms)) / len(terms)],
        ["bytes a row", held / len(texts)],
        ["three words, p50 ms", float(np.percentile(took, 50))],
        ["three words, p95 ms", float(np.percentile(took, 95))],
    ]
    text = (
        f"{len(texts):,} texts in {parts} segment(s), {len(queries)} queries of three words, k 10, one "
        "thread, metadata looked up."
    )
    return report.Section("Text search", text, ["", ""], rows)


async def _load(room: shard.Room, texts: list[str]) -> None:
    random = np.random.default_rng(3)
    for start in range(0, len(texts), 1_000):
        piece = texts[start : start + 1_000]
        vectors = random.standard_normal((len(piece), 4), np.float32)
        rows = shard_pb2.Rows(
            ids=[str(start + number) for number in range(len(piece))],
            vectors=vectors.tobytes(),
            metadata=[json.dumps({"text": text}).encode() for text in piece],
        )
        await room.served.write(shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=rows)))
    await room.settled()


async def _relevance(folder: pathlib.Path) -> report.Section:
    options.say("relevance on a judged collection")
    with gzip.open(folder / "documents.jsonl.gz", "rt") as lines:
        documents = [json.loads(line) for line in lines]
    asked = [query["text"] for query in json.loads((folder / "queries.json").read_text())]
    texts = [f"{document['title']} {document['text']}" for document in documents]
    grades = grades_of(folder / "qrels.txt")
    ids = [str(document["id"]) for document in documents]
    async with shard.room(4, config.Schema(text=("text",))) as room:
        await _load(room, texts)
        state = room.opened.shard.snapshot

        def own(query: str) -> list[str]:
            _, place = text_search.search(state, text_search.Question("", query, 10, None))
            return [ids[int(one)] for one in state.take(place, part.Fields(False, False)).ids]

        this = ndcg(own, asked, grades)
    stem = Stemmer.Stemmer("english")
    yardstick = bm25s.BM25(k1=1.2, b=0.75)
    cut = {"stopwords": "en", "stemmer": stem, "show_progress": False}
    yardstick.index(bm25s.tokenize(texts, **cut), show_progress=False)

    def theirs(query: str) -> list[str]:
        found, _ = yardstick.retrieve(bm25s.tokenize(query, **cut), k=10, show_progress=False)
        return [ids[one] for one in found[0]]

    rows = [["this", this], [f"bm25s {bm25s.__version__}", ndcg(theirs, asked, grades)]]
    text = f"{len(documents):,} texts, {len(asked)} queries, k1 1.2, b 0.75."
    return report.Section("Relevance of text search, Cranfield", text, ["", "nDCG@10"], rows)


def grades_of(path: pathlib.Path) -> dict[int, dict[str, int]]:
    """Return query's number, from 1 → document's id → grade, 0 or more."""
    grades: dict[int, dict[str, int]] = {}
    for line in path.read_text().splitlines():
        query, _, document, grade = line.split()
        grades.setdefault(int(query), {})[document] = max(0, int(grade))
    return grades


def ndcg(rank: Rank, asked: list[str], grades: dict[int, dict[str, int]]) -> float:
    """Return the mean nDCG@10 with linear gains (Järvelin and Kekäläinen, 2002)."""
    scores = []
    for number, query in enumerate(asked, 1):
        known = grades.get(number, {})
        ideal = _gain(sorted(known.values(), reverse=True)[:10])
        if ideal:
            scores.append(_gain([known.get(found, 0) for found in rank(query)]) / ideal)
    return float(np.mean(scores))


def _gain(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
