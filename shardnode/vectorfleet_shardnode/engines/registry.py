"""Builds and opens what a segment's recipe asks for; the one place that knows every engine.

```
hnsw      graph.faiss      and codes.faiss where there are codes
hnswlib   graph.hnswlib
ivf, gpu  ivf.faiss        codes in the lists
flat      codes.faiss      nothing where there are no codes
```
"""

import faiss

from ..api import config
from ..arrays import Vectors
from . import base, codes, faiss_hnsw, filtered, gpu, hnswlib_hnsw, ivf, rescoring

GRAPH, CODES, LISTS, HNSWLIB = "graph.faiss", "codes.faiss", "ivf.faiss", "graph.hnswlib"
_Kind = config.EngineKind


def refusal(engine: _Kind) -> str:
    """Return why an engine can't run here; empty where it can."""
    return gpu.refusal() if engine is _Kind.GPU else ""


def files_of(spec: base.Spec) -> tuple[str, ...]:
    """Return the names of the files that `build` writes."""
    match spec.engine:
        case _Kind.HNSWLIB:
            return (HNSWLIB,)
        case _Kind.IVF | _Kind.GPU:
            return (LISTS,)
    graph = (GRAPH,) if spec.engine is _Kind.HNSW else ()
    return (*graph, CODES) if spec.coded else graph


def build(
    spec: base.Spec, vectors: Vectors, home: base.Home, extension: faiss_hnsw.Extension | None = None
) -> None:
    """Build over comparable vectors, with as many threads as OpenMP has.

    Args:
        spec: what to build.
        vectors: (nodes, dimensions), comparable.
        home: where its files go.
        extension: a graph of FAISS's to extend in place of building one anew.

    Raises:
        OSError: the disk is full or failing.
    """
    match spec.engine:
        case _Kind.HNSW if extension:
            faiss_hnsw.extend(spec.metric, extension, home.path(GRAPH))
        case _Kind.HNSW:
            faiss_hnsw.build(spec.metric, vectors, spec.hnsw, home.path(GRAPH))
        case _Kind.HNSWLIB:
            hnswlib_hnsw.build(spec, vectors, faiss.omp_get_max_threads(), home.path(HNSWLIB))
        case _Kind.IVF:
            ivf.build(spec, vectors, home.path(LISTS))
        case _Kind.GPU:
            gpu.build(spec, vectors, home.path(LISTS))
    if CODES in files_of(spec):
        codes.build(spec, vectors, home.path(CODES))


def open_engine(spec: base.Spec, stored: base.Stored, rows: int, home: base.Home) -> base.Engine | None:
    """Open what was built; None where every row is compared.

    Args:
        spec: what it was built from.
        stored: the comparable vectors that it was built over.
        rows: how many of them are rows.
        home: where its files are; their checksums were checked, because FAISS trusts what it reads.
    """
    if spec.exact:
        return None
    engine, vectors = _opened(spec, stored, rows, home), stored.vectors[:rows]
    if spec.coded and not isinstance(engine, filtered.FilteredEngine):
        return rescoring.Rescored(engine, spec.metric, vectors, spec.quantization.oversampling)
    return engine


def _opened(spec: base.Spec, stored: base.Stored, rows: int, home: base.Home) -> base.Engine:
    match spec.engine:
        case _Kind.HNSWLIB:
            graph = hnswlib_hnsw.HnswlibGraph(home.path(HNSWLIB), spec, stored.vectors.shape[1])
            return filtered.FilteredEngine(graph, spec.metric, stored.vectors)
        case _Kind.GPU if not gpu.refusal():
            return filtered.FilteredEngine(gpu.GpuLists(home.path(LISTS)), spec.metric, stored.vectors)
        case _Kind.IVF | _Kind.GPU:  # lists that a GPU filled can be read without one
            return ivf.IvfEngine(codes.opened(home.path(LISTS)))
        case _Kind.FLAT:
            return codes.CodesEngine(codes.opened(home.path(CODES)), rows)
    if not spec.coded:
        storage = stored.faiss_index(base.faiss_metric(spec.metric))
        return faiss_hnsw.HnswEngine(home.path(GRAPH), storage, rows, spec.hnsw.m)
    coded = codes.opened(home.path(CODES))
    walked = faiss_hnsw.HnswEngine(home.path(GRAPH), coded.index, rows, spec.hnsw.m)
    return codes.CodedGraphEngine(walked, coded, rows)
