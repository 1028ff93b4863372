"""What an index remembers of its embedder: vectors of texts that never change, in rows of its own."""

import numpy as np
import orjson

from vectorfleet_shardnode.api import reserved

from . import consistency, index, routing
from .embedding import probes, wire


class IndexMemory:
    """The memory of one index; see `embedder.Memory`."""

    def __init__(self, served: index.Index) -> None:
        self._index = served

    async def read(self, seconds: float, *, strong: bool) -> wire.Matrix | None:
        """Return the vectors of the probes, in order; None where not all of them are there."""
        with consistency.during(consistency.Session(strong=strong)):
            rows = await self._index.fetch(reserved.NAMESPACE, reserved.PROBES, seconds)
        values = [row.values for row in rows if row.values is not None]
        return np.stack(values) if len(values) == len(probes.TEXTS) else None

    async def write(self, vectors: wire.Matrix, model: str, seconds: float) -> None:
        """Remember the vectors of the probes, durably."""
        rows = [
            routing.Row(name, vector, orjson.dumps({"model": model, "text": text}))
            for name, text, vector in zip(reserved.PROBES, probes.TEXTS, vectors, strict=True)
        ]
        await self._index.upsert(reserved.NAMESPACE, rows, seconds)

    async def is_empty(self, seconds: float) -> bool:
        """Return whether no user has a row in the index."""
        with consistency.during(consistency.Session(strong=True)):
            return not await self._index.stats(b"", seconds)
