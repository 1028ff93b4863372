"""The texts of a sealed segment: from its files, or made anew where it was written for another schema."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from .. import analysis, postings
from ..api import config
from . import descriptor, text_file


class SealedTexts:
    """The postings of a segment's text fields.

    Args:
        folder: the segment's, whose files were checked.
        described: what it holds.
        metadata: yields the metadata of all rows.
    """

    def __init__(
        self, folder: Path, described: descriptor.Descriptor, metadata: Callable[[], Iterator[bytes]]
    ) -> None:
        self._folder = folder
        self._described = described
        self._metadata = metadata
        self._open: dict[tuple[str, config.Language], postings.Postings] = {}
        self._opening = threading.Lock()

    def of(self, field: str, language: config.Language) -> postings.Postings:
        """Return the postings of a text field.

        What has no file is analysed whole, once; the next merge writes one.
        """
        if (found := self._open.get((field, language))) is not None:
            return found
        with self._opening:
            if (field, language) not in self._open:
                self._open[field, language] = self._read(field, language) or self._analysed(field, language)
            return self._open[field, language]

    def _read(self, field: str, language: config.Language) -> postings.Postings | None:
        recipe = self._described.recipe
        if field not in recipe.text or (recipe.language, recipe.analysis) != (language, analysis.VERSION):
            return None
        path = self._folder / text_file.name_of(recipe.text.index(field))
        return text_file.read(path, self._described.rows)

    def _analysed(self, field: str, language: config.Language) -> postings.Postings:
        analyzer, decode = analysis.analyzer(language), msgspec.json.decode
        every = (decode(content) if content else None for content in self._metadata())
        return postings.of_rows([analyzer.terms_of(metadata, field) for metadata in every])
