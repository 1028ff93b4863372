"""Answers filters over the rows of a growing segment, whose rows are appended and never changed.

Whole blocks of rows get indexes of the fields that are asked for; the rows behind them are tested one by
one; and what a filter passed is remembered, so that only newer rows are looked at the next time.
"""

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from .. import bits, filters
from ..arrays import Mask
from . import filter_gathering, filter_index

_BLOCK = 1_024
_REMEMBERED_FILTERS = 64


class GrowingFilters:
    """The filters of one segment; `decoded` is its rows' metadata, which only ever grows."""

    def __init__(self, decoded: Sequence[filters.Metadata | None]) -> None:
        self._decoded = decoded
        self._blocks: dict[tuple[int, str], filter_index.FieldIndex] = {}
        self._known: dict[filters.Filter, Mask] = {}
        self._lock = threading.Lock()

    def mask(self, wanted: filters.Filter, count: int) -> Mask:
        """Return for each of the first `count` rows whether it passes."""
        known = self._known.get(wanted, np.zeros(0, np.bool_))
        if len(known) < count:
            known = np.concatenate([known, *self._tested(wanted, len(known), count)])
            self._remember(wanted, known)
        return known[:count]

    def _remember(self, wanted: filters.Filter, known: Mask) -> None:
        with self._lock:
            self._known.pop(wanted, None)
            self._known[wanted] = known
            if len(self._known) > _REMEMBERED_FILTERS:
                del self._known[next(iter(self._known))]

    def _tested(self, wanted: filters.Filter, start: int, stop: int) -> Iterator[Mask]:
        fields = filters.fields_of(wanted.root)
        while start < stop:
            end = min(stop, (start // _BLOCK + 1) * _BLOCK)
            if end - start == _BLOCK:
                indexes = self._indexes(start, fields)
                chosen = filter_index.evaluate(wanted.root, indexes.__getitem__, _BLOCK)
                yield bits.to_mask(chosen, _BLOCK)
            else:
                yield filters.mask(wanted, self._decoded[start:end])
            start = end

    def _indexes(self, start: int, fields: frozenset[str]) -> dict[str, filter_index.FieldIndex]:
        found = {name: self._blocks.get((start, name)) for name in fields}
        missing = frozenset(name for name, index in found.items() if index is None)
        if missing:
            made = filter_gathering.build(self._decoded[start : start + _BLOCK], missing)
            found |= dict.fromkeys(missing, filter_index.EMPTY) | made
            self._blocks |= {(start, name): index for name, index in found.items() if index}
        return {name: index for name, index in found.items() if index}
