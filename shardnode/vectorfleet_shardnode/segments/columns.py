"""The columns of a sealed segment's rows: an Arrow IPC file, memory-mapped, one record batch.

```
namespace    dictionary<int32, large_string>   rows are sorted by (namespace, id) in order of UTF-8 bytes,
id           large_string                      so a namespace is one range, and a prefix is one within it
metadata     large_binary                      JSON, empty for none
seq          uint64                            the write that made the row
sorted_hash  uint64                            all rows' key hashes in ascending order, and beside each
sorted_row   uint32                            the row it belongs to: an id is found by binary search
```
"""

import bisect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from .. import keys
from ..arrays import Hashes, Mask, RowNumbers
from . import blobs

_PIECE_ROWS = 16_384


class Columns:
    """The open file."""

    def __init__(self, path: Path) -> None:
        with pa.memory_map(str(path)) as source:
            self.batch: pa.RecordBatch = pa.ipc.open_file(source).get_batch(0)
        self.rows: int = self.batch.num_rows
        self._ids: blobs.Blobs[str] = blobs.Blobs(self.batch.column("id"))
        self._metadata: blobs.Blobs[bytes] = blobs.Blobs(self.batch.column("metadata"))
        self._hashes = self.batch.column("sorted_hash").to_numpy()
        self._hash_rows = self.batch.column("sorted_row").to_numpy()
        self._set_namespaces(self.batch.column("namespace"))

    def _set_namespaces(self, column: pa.DictionaryArray) -> None:
        codes = column.indices.to_numpy()
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        names = column.dictionary.take(pa.array(codes[starts])).to_pylist()
        self.namespaces: list[str] = names
        self.starts: RowNumbers = starts.astype(np.int64)
        ends = [*starts[1:].tolist(), self.rows]
        self._ranges = dict(zip(names, zip(starts.tolist(), ends, strict=True), strict=True))

    def range_of(self, namespace: str) -> range:
        """Return the rows of a namespace."""
        return range(*self._ranges.get(namespace, (0, 0)))

    def ids(self, rows: RowNumbers | range) -> list[str]:
        """Return ids by row."""
        return self._ids.take(rows)

    def metadata(self, rows: RowNumbers | range) -> list[bytes]:
        """Return metadata by row."""
        return self._metadata.take(rows)

    def every_metadata(self) -> Iterator[bytes]:
        """Yield the metadata of all rows, a piece at a time in memory."""
        for start in range(0, self.rows, _PIECE_ROWS):
            yield from self._metadata.take(range(start, min(start + _PIECE_ROWS, self.rows)))

    def hashes(self) -> Hashes:
        """Return the key hash of each row."""
        by_row = np.empty(self.rows, np.uint64)
        by_row[self._hash_rows] = self._hashes
        return by_row

    def versions(self, live: Mask) -> tuple[RowNumbers, Hashes, Hashes]:
        """Return number, key hash and seq of each live row, in order of the hashes."""
        chosen = live[self._hash_rows]
        rows = self._hash_rows[chosen].astype(np.int64)
        return rows, self._hashes[chosen], self.batch.column("seq").to_numpy()[rows]

    def table(self, rows: RowNumbers) -> pa.Table:
        """Return namespace, id, metadata and seq of some rows."""
        chosen = self.batch.take(pa.array(rows))
        names = chosen.column("namespace").dictionary_decode()
        arrays = [names, *(chosen.column(name) for name in ("id", "metadata", "seq"))]
        return pa.table(arrays, names=["namespace", "id", "metadata", "seq"])

    def find(self, sought: keys.Keys) -> RowNumbers:
        """Return the row of each key, live or not; -1 where there is none."""
        found = np.full(len(sought.ids), -1, np.int64)
        within = self.range_of(sought.namespace)
        at = np.searchsorted(self._hashes, sought.hashes)
        candidates = np.flatnonzero(self._hashes[np.minimum(at, self.rows - 1)] == sought.hashes)
        if not within or not len(candidates):
            return found
        rows = self._hash_rows[at[candidates]].astype(np.int64)
        for candidate, row, row_id in zip(candidates.tolist(), rows.tolist(), self.ids(rows), strict=True):
            if row_id == sought.ids[candidate] and row in within:
                found[candidate] = row
            else:
                found[candidate] = self._find_among_equal(int(at[candidate]), sought.ids[candidate], within)
        return found

    def _find_among_equal(self, at: int, row_id: str, within: range) -> int:
        """Look on where another key has the same hash."""
        wanted = self._hashes[at]
        while at < self.rows and self._hashes[at] == wanted:
            row = int(self._hash_rows[at])
            if row in within and self._ids.one(row) == row_id:
                return row
            at += 1
        return -1

    def after(self, namespace: str, row_id: str) -> int:
        """Return the first row of the namespace whose id is greater."""
        within = self.range_of(namespace)
        return within.start + bisect.bisect_right(within, row_id, key=self._ids.one)

    def at_least(self, namespace: str, row_id: str) -> int:
        """Return the first row of the namespace whose id is not smaller."""
        within = self.range_of(namespace)
        return within.start + bisect.bisect_left(within, row_id, key=self._ids.one)


def write(path: Path, table: pa.Table, hashes: Hashes) -> None:
    """Write the columns of rows that are already in order.

    Args:
        path: the new file.
        table: namespace (large_string), id, metadata, seq.
        hashes: the key hash of each row.
    """
    order = np.argsort(hashes, kind="stable")
    table = table.set_column(0, "namespace", table.column("namespace").combine_chunks().dictionary_encode())
    table = table.append_column("sorted_hash", pa.array(hashes[order]))
    table = table.append_column("sorted_row", pa.array(order.astype(np.uint32)))
    batch = table.combine_chunks().to_batches()[0]
    with pa.OSFile(str(path), "wb") as target, pa.ipc.new_file(target, batch.schema) as writer:
        writer.write_batch(batch)
