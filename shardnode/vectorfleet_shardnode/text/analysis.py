"""From text to terms: the words in it, in one form, without those that say nothing, cut to their stems.

A word is a run of letters and digits, after Unicode's NFKC and case folding; one of more than 64 bytes is
left out. Words, stop words and stems (Snowball's) are tantivy's analysis. A term is known by the 64-bit XXH3
of its stem: two stems of one hash would count as one term, which at ten million different stems has a chance
of 3 in a million.
"""

import functools
import unicodedata
from typing import Any

import tantivy
import xxhash

from ..api import config

VERSION = 1
"""Raised when the same text comes to other terms: postings of another version are made anew."""
MAX_WORD_BYTES = 64
STOP_WORDS = frozenset(config.Language) - {
    config.Language.ARABIC,
    config.Language.GREEK,
    config.Language.ROMANIAN,
    config.Language.TAMIL,
    config.Language.TURKISH,
}
"""Languages that tantivy has a list of stop words for; elsewhere BM25 lets frequent words count little."""
_REMEMBERED = 200_000


class Analyzer:
    """Turns texts of one language into terms. May be used by several threads."""

    def __init__(self, language: config.Language) -> None:
        builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        builder = builder.filter(tantivy.Filter.remove_long(MAX_WORD_BYTES + 1))
        if language in STOP_WORDS:
            builder = builder.filter(tantivy.Filter.stopword(language.value))
        self._analyzer = builder.filter(tantivy.Filter.stemmer(language.value)).build()
        self._hashes: dict[str, int] = {}

    def stems(self, text: str) -> list[str]:
        """Return the stems of a text's words, in order."""
        found: list[str] = self._analyzer.analyze(_folded(text))
        return found

    def terms(self, text: str) -> list[int]:
        """Return the hashes of a text's terms, in order."""
        known = self._hashes
        return [known.get(stem) or self._learn(stem) for stem in self.stems(text)]

    def terms_of(self, metadata: dict[str, Any] | None, field: str) -> list[int]:
        """Return the hashes of the terms of a metadata field: a string, or the strings of a list."""
        value = metadata.get(field) if metadata else None
        if isinstance(value, str):
            return self.terms(value)
        if isinstance(value, list):
            return [term for item in value if isinstance(item, str) for term in self.terms(item)]
        return []

    def _learn(self, stem: str) -> int:
        if len(self._hashes) >= _REMEMBERED:
            self._hashes = {}
        self._hashes[stem] = made = hash_of(stem)
        return made


@functools.cache
def analyzer(language: config.Language) -> Analyzer:
    """Return the analyzer of a language; there is one for all threads."""
    return Analyzer(language)


def hash_of(stem: str) -> int:
    """Return a term's hash, from 1 to 2^64 - 1."""
    return xxhash.xxh3_64_intdigest(stem.encode()) or 1


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
