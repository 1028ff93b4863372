"""Makes filter indexes of metadata in one pass over rows: compact arrays on the way, sorted at the end.

A pass before it may find the fields that are worth it: where rows have names of their own, such as the
ids of users, indexes of all of them would take hundreds of times the metadata.
"""

import array
import bisect
import collections
import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import filters
from ..api import instants
from . import filter_index

_REMEMBERED_DIGESTS = 65_536
_COUNTED_NAMES = 65_536


class Gathering:
    """Collects the values of one field, row after row, and then makes its index."""

    def __init__(self) -> None:
        self._present = array.array("I")
        self._flags = {True: array.array("I"), False: array.array("I")}
        self._integers = _Pairs("q")
        self._fractions = _Pairs("d")
        self._large: list[tuple[int, int]] = []
        self._dates = _Pairs("q")
        self._digests = bytearray()
        self._digest_rows = array.array("I")
        self._known: dict[str, tuple[bytes, int | None]] = {}

    @property
    def rows(self) -> int:
        """How many rows have the field."""
        return len(self._present)

    def add(self, row: int, value: Any) -> None:
        """Note the value of a row; rows come in ascending order."""
        self._present.append(row)
        for element in value if isinstance(value, list) else (value,):
            self._add(row, element)

    def _add(self, row: int, value: Any) -> None:
        if isinstance(value, str):
            self._add_string(row, value)
        elif isinstance(value, bool):
            self._flags[value].append(row)
        elif isinstance(value, int | float):
            self._add_number(row, filter_index.canonical(value))

    def _add_number(self, row: int, value: float) -> None:
        if isinstance(value, float):
            self._fractions.add(value, row)
        elif filter_index.fits(value):
            self._integers.add(value, row)
        else:
            self._large.append((value, row))

    def _add_string(self, row: int, value: str) -> None:
        known = self._known.get(value)
        if known is None:
            if len(self._known) >= _REMEMBERED_DIGESTS:
                self._known.clear()
            known = self._known[value] = filter_index.digest(value), instants.of(value)
        self._digests += known[0]
        self._digest_rows.append(row)
        if known[1] is not None:
            self._dates.add(known[1], row)

    def finish(self) -> filter_index.FieldIndex:
        """Return the index of what was added."""
        strings, checks = self._strings()
        return filter_index.FieldIndex(
            present=np.array(self._present, np.uint32),
            true=np.array(self._flags[True], np.uint32),
            false=np.array(self._flags[False], np.uint32),
            integers=self._integers.postings(),
            fractions=self._fractions.postings(),
            large=_large_postings(sorted(self._large)),
            strings=strings,
            checks=checks,
            dates=self._dates.postings(),
        )

    def _strings(self) -> tuple[filter_index.Postings, npt.NDArray[np.uint64]]:
        digests = np.frombuffer(bytes(self._digests), filter_index.DIGEST)
        rows = np.array(self._digest_rows, np.uint32)
        order = np.lexsort((digests["low"], digests["high"]))
        digests, rows = digests[order], rows[order]
        first = np.flatnonzero(np.concatenate([digests[:1] == digests[:1], digests[1:] != digests[:-1]]))
        offsets = np.append(first, len(rows)).astype(np.uint32)
        high, low = digests["high"][first].copy(), digests["low"][first].copy()
        return filter_index.Postings(high, offsets, rows), low


class _Pairs:
    """Keys and their rows, as they came."""

    def __init__(self, code: str) -> None:
        self._keys: array.array[Any] = array.array(code)
        self._rows = array.array("I")

    def add(self, key: float, row: int) -> None:
        self._keys.append(key)
        self._rows.append(row)

    def postings(self) -> filter_index.Postings:
        keys, rows = np.array(self._keys), np.array(self._rows, np.uint32)
        order = np.argsort(keys, kind="stable")
        keys, first = np.unique(keys[order], return_index=True)
        return filter_index.Postings(keys, np.append(first, len(rows)).astype(np.uint32), rows[order])


def _large_postings(pairs: list[tuple[int, int]]) -> filter_index.Postings:
    rows = np.array([row for _, row in pairs], np.uint32)
    keys = sorted({key for key, _ in pairs})
    counts = [bisect.bisect_left(pairs, (key, -1)) for key in keys]
    return filter_index.Postings(keys, np.array([*counts, len(pairs)], np.uint32), rows)


def build(
    rows: Iterable[filters.Metadata | None], only: frozenset[str] | None = None
) -> dict[str, filter_index.FieldIndex]:
    """Return the indexes of all fields of some rows, or of these only; a field that no row has has none."""
    gathered: dict[str, Gathering] = {}
    for row, metadata in enumerate(rows):
        if not metadata:
            continue
        for name in metadata if only is None else only & metadata.keys():
            if name not in gathered:
                gathered[name] = Gathering()
            gathered[name].add(row, metadata[name])
    return {name: field.finish() for name, field in gathered.items()}


@dataclasses.dataclass(frozen=True)
class Common:
    """The names of fields that the most rows have, those first; `all` where there are no others."""

    names: tuple[str, ...]
    all: bool


def common(rows: Iterable[filters.Metadata | None], most: int) -> Common:
    """Return up to `most` names of fields; exactly those of the most rows while there are not too many names.

    Beyond 65,536 different names those that came once only are forgotten, then those that came twice, and so
    on: a name that many rows have stays.
    """
    counts: collections.Counter[str] = collections.Counter()
    rare = 0  # names that came so often at most may have been forgotten
    for metadata in rows:
        counts.update(metadata.keys() if metadata else ())
        while len(counts) > _COUNTED_NAMES:
            rare += 1
            counts = collections.Counter({name: often for name, often in counts.items() if often > rare})
    names = tuple(name for name, _ in counts.most_common(most))
    return Common(names, all=not rare and len(counts) <= most)
