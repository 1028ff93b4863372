"""Milvus Lite in its own environment."""

import pathlib
import sys
from typing import Any

import answering
import pymilvus

_BATCH = 500


class Milvus:
    """One collection."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._client = pymilvus.MilvusClient(str(folder / "milvus.db"))

    def load(self, vectors: Any) -> None:
        """Insert all rows in batches."""
        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", pymilvus.DataType.INT64, is_primary=True)
        schema.add_field("vector", pymilvus.DataType.FLOAT_VECTOR, dim=vectors.shape[1])
        index = self._client.prepare_index_params()
        graph = {"M": 16, "efConstruction": 128}
        index.add_index(field_name="vector", index_type="HNSW", metric_type="IP", params=graph)
        self._client.create_collection("bench", schema=schema, index_params=index)
        for start in range(0, len(vectors), _BATCH):
            piece = vectors[start : start + _BATCH].tolist()
            self._client.insert(
                "bench", [{"id": start + place, "vector": one} for place, one in enumerate(piece)]
            )

    def settle(self) -> None:
        """Flush, and load what was indexed."""
        self._client.flush("bench")
        self._client.load_collection("bench")

    def search(self, vector: Any, k: int, effort: int) -> list[int]:
        """Return the nearest."""
        found = self._client.search(
            "bench", data=[vector.tolist()], limit=k, search_params={"params": {"ef": effort}}
        )
        return [one["id"] for one in found[0]]


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[1])
    answering.answer(Milvus(place), place)
