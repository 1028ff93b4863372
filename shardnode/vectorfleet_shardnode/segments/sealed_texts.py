"""The texts of a sealed segment: from its files, or made anew where it was written for another schema."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ..api import config
from ..text import analysis, postings
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
        self._metadata = metadata
        # Opened now: a reader may still ask when a merge has deleted the folder.
        self._open = _files(folder, described)
        self._analysing = threading.Lock()

    def of(self, field: str, language: config.Language) -> postings.Postings:
        """Return the postings of a text field.

        What has no file is analysed whole, once; the next merge writes one.
        """
        if (found := self._open.get((field, language))) is not None:
            return found
        with self._analysing:
            if (field, language) not in self._open:
                self._open[field, language] = self._analysed(field, language)
            return self._open[field, language]

    def _analysed(self, field: str, language: config.Language) -> postings.Postings:
        analyzer, decode = analysis.analyzer(language), msgspec.json.decode
        every = (decode(content) if content else None for content in self._metadata())
        return postings.of_rows([analyzer.terms_of(metadata, field) for metadata in every])


def _files(
    folder: Path, described: descriptor.Descriptor
) -> dict[tuple[str, config.Language], postings.Postings]:
    recipe = described.recipe
    if recipe.analysis != analysis.VERSION:
        return {}
    return {
        (field, recipe.language): text_file.read(folder / text_file.name_of(number), described.rows)
        for number, field in enumerate(recipe.text)
    }
