"""LanceDB in its own environment."""

import pathlib
import sys
from typing import Any

import answering
import lancedb
import pyarrow as pa


class Lance:
    """One table with a graph over 8-bit codes, rescored from full vectors."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._database = lancedb.connect(str(folder / "lance"))
        self._table: Any = None

    def load(self, vectors: Any) -> None:
        """Write all rows as one table."""
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        rows = pa.table({"id": pa.array(range(len(vectors))), "vector": column})
        self._table = self._database.create_table("bench", rows)

    def settle(self) -> None:
        """Make the index."""
        self._table.create_index(
            metric="dot",
            vector_column_name="vector",
            index_type="IVF_HNSW_SQ",
            num_partitions=1,
            m=16,
            ef_construction=128,
        )

    def search(self, vector: Any, k: int, effort: int) -> list[int]:
        """Return the nearest of twice as many as are wanted."""
        query = self._table.search(vector).limit(k).ef(max(effort, 2 * k)).refine_factor(2)
        return list(query.select(["id", "_distance"]).to_arrow()["id"].to_pylist())


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[1])
    answering.answer(Lance(place), place)
