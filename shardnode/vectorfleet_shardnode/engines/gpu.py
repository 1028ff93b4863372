"""Inverted lists on a GPU, by FAISS with CUDA: trained, filled and searched there; the file is `ivf`'s.

A GPU takes batches well and one query at a time, so callers queue for it. It can't select rows, see
`filtered`. Without such a FAISS or without a GPU the configuration is refused at the start.
"""

import functools
import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from ..arrays import RowNumbers, Vectors
from . import base, codes, ivf

MOST = 2_048
"""Candidates of one query, and lists that it looks into, that FAISS's GPU code allows."""
_ENOUGH = 2  # candidates for each that is wanted: lists of one that passes hold others too
_LOCK = threading.Lock()
"""Of all that is asked of the GPU: what FAISS keeps there may not be used by two threads at a time."""


def refusal() -> str:
    """Return why there is no GPU to search on; empty where there is one."""
    if not hasattr(faiss, "StandardGpuResources"):
        return (
            "the engine gpu needs FAISS with CUDA; this FAISS has none: install faiss-gpu-cu12 for faiss-cpu"
        )
    if faiss.get_num_gpus() == 0:
        return "the engine gpu needs a GPU, and FAISS sees none"
    return ""


@functools.cache
def _resources() -> Any:
    """Return this process's scratch memory on the GPU: up to 1.5 GiB, and so one for all segments."""
    return faiss.StandardGpuResources()


def build(spec: base.Spec, vectors: Vectors, path: Path) -> None:
    """Train and fill the lists on the GPU, choose the probes, and write the file."""
    index = faiss.index_cpu_to_gpu(_resources(), 0, ivf.untrained(spec, vectors))
    ivf.fill(index, vectors)
    ivf.write(spec, vectors, faiss.index_gpu_to_cpu(index), path)


class GpuLists:
    """Finds candidates on the GPU; a source for `filtered.FilteredEngine`."""

    def __init__(self, path: Path) -> None:
        opened = codes.opened(path)
        stored = opened.index
        with _LOCK:
            self._index: Any = faiss.index_cpu_to_gpu(_resources(), 0, stored)
        self._rows: int = stored.ntotal
        self._lists: int = stored.nlist
        self._probes: int = stored.nprobe

    @property
    def most(self) -> int:
        """The bound of FAISS's GPU code, or every row."""
        return min(MOST, self._rows)

    def widened(self, passing: int, k: int, effort: base.Effort) -> base.Effort | None:
        """Return candidates and probes for a selection, see `base.Engine`."""
        if passing == 0:
            return None
        share = passing / self._rows
        wanted = k if share == 1 else int(_ENOUGH * k / share)
        probes = int((effort.probes or self._probes) / share)
        return base.Effort(ef=min(wanted, self._rows), probes=min(probes, self._lists, MOST))

    def candidates(self, queries: Vectors, count: int, effort: base.Effort) -> RowNumbers | None:
        """Return the rows in the lists near each query."""
        probes = min(effort.probes or self._probes, self._lists, MOST)
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        with _LOCK:
            found: RowNumbers = self._index.search(np.ascontiguousarray(queries), count, params=parameters)[1]
        return found
