"""Answers filters over one segment's rows: by indexes from its file, or made in memory when first needed.

Rows never change, so what was found once may be remembered; which of them live is the view's business.
"""

import functools
import threading
from collections.abc import Callable, Iterable

from .. import filters
from ..arrays import Bits
from . import filter_file, filter_gathering, filter_index

_REMEMBERED_FIELDS = 64
_REMEMBERED_FILTERS = 64


class FilterFields:
    """The fields of a segment.

    Args:
        rows: how many rows it has.
        metadata: gives their metadata, in order.
        stored: its file of filter indexes, None where it has none.
    """

    def __init__(
        self, rows: int, metadata: Callable[[], Iterable[bytes]], stored: filter_file.FilterFile | None
    ) -> None:
        self._rows = rows
        self._metadata = metadata
        self._stored = stored
        self._lock = threading.Lock()  # one thread makes what others wait for
        self._known: dict[str, filter_index.FieldIndex] = {}
        self.passing = functools.lru_cache(_REMEMBERED_FILTERS)(self._passing)

    def _passing(self, wanted: filters.Filter) -> Bits:
        """Return which rows pass, live or not, of all namespaces."""
        indexes = self._indexes(filters.fields_of(wanted.root))
        return filter_index.evaluate(wanted.root, indexes.__getitem__, self._rows)

    def _indexes(self, names: frozenset[str]) -> dict[str, filter_index.FieldIndex]:
        with self._lock:
            found = {name: self._known.get(name) or self._open(name) for name in names}
            missing = frozenset(name for name, index in found.items() if index is None)
            if missing:
                made = filter_gathering.build(filter_file.decoded(self._metadata()), missing)
                found |= dict.fromkeys(missing, filter_index.EMPTY) | made
            complete = {name: index for name, index in found.items() if index is not None}
            self._known |= complete
            while len(self._known) > max(_REMEMBERED_FIELDS, len(names)):
                del self._known[next(iter(self._known))]
            return complete

    def _open(self, name: str) -> filter_index.FieldIndex | None:
        return self._stored.field(name) if self._stored else None
