"""BM25 as its formula says, over rows as a dictionary: what text search must return, found the slow way."""

import functools
import math

import numpy as np

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.text import analysis

_analyzer = functools.cache(analysis.Analyzer)  # one of its own


def ranked(rows, text, fields, language=config.Language.ENGLISH, k1=1.2, b=0.75):
    """Return (id, score) of the rows that have a term of the text, best first, equals by id.

    Args:
        rows: id → metadata of the live rows of one namespace.
        text: what is asked.
        fields: the declared text fields.
        language: of the texts.
        k1: how soon repetition saturates.
        b: how much length counts.
    """
    analyzer = _analyzer(language)
    scores = dict.fromkeys(rows, 0.0)
    for field in fields:
        texts = {row_id: analyzer.terms_of(metadata, field) for row_id, metadata in rows.items()}
        texts = {row_id: terms for row_id, terms in texts.items() if terms}
        average = sum(map(len, texts.values())) / max(1, len(texts))
        for term in analyzer.terms(text):
            having = sum(term in terms for terms in texts.values())
            idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
            for row_id, terms in texts.items():
                often = terms.count(term)
                if often:
                    norm = k1 * (1 - b + b * len(terms) / average)
                    scores[row_id] += idf * often / (often + norm)
    found = [(row_id, score) for row_id, score in scores.items() if score > 0]
    return sorted(found, key=lambda one: (-np.float32(one[1]), one[0]))
