"""Rows that come as text alone: which they are, and where their text is kept. Pure.

A row has values, or a text that is embedded, and not both: of two one would be of no use. The text is kept in
the row's metadata, where filters, text search and a later model find it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vectorfleet_shardnode.api import config

from . import errors, limits, schemas


def of_rows(vectors: Sequence[schemas.Vector], index: config.IndexConfig) -> dict[int, str]:
    """Return the texts of those rows of an upsert that have one, by the row's number.

    Raises:
        InvalidArgumentError: a row has values as well, its text can't be embedded, or there is no embedder.
    """
    found = {}
    for number, vector in enumerate(vectors):
        text = schemas.given(vector.text)
        if text is not None:
            owner = f"id {vector.id[:64]!r}"
            check(owner, text, index, has_values=schemas.given(vector.values) is not None)
            found[number] = text
    return found


def check(owner: str, text: str, index: config.IndexConfig, *, has_values: bool) -> None:
    """Refuse a text that can't be embedded; `owner` is what an error calls its row."""
    if index.embedder is None:
        raise errors.InvalidArgumentError(
            f"{owner} has a text, and the index has no embedder: name one in its manifest, or send values"
        )
    if has_values:
        raise errors.InvalidArgumentError(
            f"{owner} has values and a text to be embedded; leave out one of the two"
        )
    limits.check_embedded(owner, text)


def keep(
    owner: str, metadata: Mapping[str, Any] | None, text: str, index: config.IndexConfig
) -> dict[str, Any]:
    """Return a row's metadata with its text in the field for it.

    Raises:
        InvalidArgumentError: the field holds something else.
    """
    field = index.text_field
    kept = dict(metadata or {})
    if kept.setdefault(field, text) != text:
        raise errors.InvalidArgumentError(
            f"{owner}: its text is kept in the metadata field {field[:64]!r}, which holds something else; "
            "leave the field out"
        )
    return kept
