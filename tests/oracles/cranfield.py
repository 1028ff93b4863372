"""The Cranfield collection, judged: texts, queries, vectors of both, and how good an answer is."""

import functools
import gzip
import json
import math
import os
import pathlib

import numpy as np

_ROOT = pathlib.Path(__file__).parents[2]
DATA = pathlib.Path(os.environ.get("VECTORFLEET_BENCH_DATA") or _ROOT.parent / "shared" / "data")
FOLDER = DATA / "cranfield"


class Collection:
    """Read from FOLDER.

    Attributes:
        ids: of the documents.
        texts: title and abstract of each.
        vectors: (documents, 384), float32.
        queries: texts.
        query_vectors: (queries, 384), float32.
    """

    def __init__(self):
        with gzip.open(FOLDER / "documents.jsonl.gz", "rt") as lines:
            documents = [json.loads(line) for line in lines]
        self.ids = [str(document["id"]) for document in documents]
        self.texts = [f"{document['title']} {document['text']}" for document in documents]
        self.queries = [query["text"] for query in json.loads((FOLDER / "queries.json").read_text())]
        self.vectors = np.load(FOLDER / "vectors-minilm.f16.npy").astype(np.float32)
        self.query_vectors = np.load(FOLDER / "queries-minilm.f16.npy").astype(np.float32)

    @functools.cached_property
    def grades(self):
        """Query's number from 0 → document's id → grade, 0 or more."""
        found = {}
        for line in (FOLDER / "qrels.txt").read_text().splitlines():
            query, _, document, grade = line.split()
            found.setdefault(int(query) - 1, {})[document] = max(0, int(grade))
        return found

    def ndcg(self, ranked):
        """Return the mean nDCG@10 with linear gains (Järvelin and Kekäläinen, 2002) of each query's ids."""
        scores = []
        for query, found in enumerate(ranked):
            grades = self.grades.get(query, {})
            ideal = _gain(sorted(grades.values(), reverse=True)[:10])
            if ideal:
                scores.append(_gain([grades.get(one, 0) for one in found[:10]]) / ideal)
        return float(np.mean(scores))


def _gain(grades):
    return sum(grade / math.log2(place + 2) for place, grade in enumerate(grades))
