"""The memory formula against what is really written and really taken."""

import math
import subprocess
import sys

import faiss
import numpy as np
import pytest

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, codes, memory, registry

ROWS, DIMENSIONS = 4_000, 64
KINDS, CODES = config.EngineKind, config.QuantizationKind
ALLOCATED = """
import ctypes, hnswlib, sys
names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
Info = type("Info", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in names]})
mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info
taken = lambda: mallinfo().uordblks + mallinfo().hblkhd
before, index = taken(), hnswlib.Index("l2", int(sys.argv[2]))
index.load_index(sys.argv[1])
print(taken() - before)
"""
"""Bytes that hnswlib allocates for a file, in a process of its own."""


def generation(engine, code=CODES.NONE, **changes):
    """Return what is computed and built."""
    hnsw = config.HnswParameters(m=8, ef_construction=16)
    quantization = config.Quantization(kind=code, ratio=16)
    given = {"dimensions": DIMENSIONS, "metric": "euclidean", "hnsw": hnsw, "quantization": quantization}
    return config.Generation(engine=engine, **(given | changes))


@pytest.fixture(scope="module")
def vectors():
    """Rows to build over."""
    return np.random.default_rng(5).standard_normal((ROWS, DIMENSIONS)).astype(np.float32)


def written(folder, vectors, wanted):
    """Build into a folder; return the bytes of each file."""
    spec = base.Spec(wanted.metric, wanted.engine, wanted.hnsw, wanted.ivf, wanted.quantization)
    registry.build(spec, vectors, base.Home(folder))
    return {name: (folder / name).stat().st_size for name in registry.files_of(spec)}


def test_links_are_what_the_graph_file_holds(vectors, tmp_path):
    """Links, levels and offsets, within 2 %."""
    sizes = written(tmp_path, vectors, generation(KINDS.HNSW))
    assert sizes["graph.faiss"] == pytest.approx(memory.links(8) * ROWS, rel=0.02)


@pytest.mark.parametrize("code", [code for code in CODES if code is not CODES.NONE])
@pytest.mark.parametrize("engine", [KINDS.FLAT, KINDS.IVF])
def test_codes_are_what_their_file_holds(vectors, tmp_path, engine, code):
    """Codes, row ids and what the quantiser and the lists hold, within 2 %."""
    wanted = generation(engine, code)
    (size,) = written(tmp_path, vectors, wanted).values()
    copied = memory._quantizer(wanted) / 2  # is read into memory, and stays in the file's pages
    assert size == pytest.approx(memory.needed(wanted, ROWS).of(ROWS) - copied, rel=0.02)


def test_codes_of_a_graph_come_beside_its_links(vectors, tmp_path):
    """A compressed graph keeps links and codes, and no vector."""
    wanted = generation(KINDS.HNSW, CODES.SQ8)
    sizes = written(tmp_path, vectors, wanted)
    assert sum(sizes.values()) == pytest.approx(memory.needed(wanted, ROWS).of(ROWS), rel=0.02)


def test_what_hnswlib_allocates(vectors, tmp_path):
    """Its copy of the vectors, links, labels and locks, within 5 %: counted in a process of its own."""
    wanted = generation(KINDS.HNSWLIB)
    written(tmp_path, vectors, wanted)
    command = [sys.executable, "-c", ALLOCATED, str(tmp_path / "graph.hnswlib"), str(DIMENSIONS)]
    taken = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert taken == pytest.approx(memory.needed(wanted, ROWS).of(ROWS), rel=0.05)


def test_plain_vectors_are_counted_once():
    """The graph of FAISS shares the vectors that exact search reads; flat has nothing else."""
    assert memory.needed(generation(KINDS.FLAT), ROWS).of(ROWS) == 4 * DIMENSIONS * ROWS
    both = memory.needed(generation(KINDS.HNSW), ROWS).row
    assert both == 4 * DIMENSIONS + memory.links(8)


def test_lists_follow_the_rows():
    """Four times the root of the rows, as wanted where it is said, and none nearly empty."""
    assert [memory.lists_of(rows, 0) for rows in (1, 1_000, 1_000_000)] == [1, 25, 4_000]
    assert memory.lists_of(1_000_000, 64) == 64
    assert memory.lists_of(100, 64) == 2


def test_a_code_is_as_short_as_it_says(vectors):
    """The bytes of a code are FAISS's own, at dimensions that don't fill the last byte, too."""
    for code, dimensions in [(CODES.RABITQ, 13), (CODES.SQ8, 13), (CODES.FLOAT16, 13), (CODES.PQ, 16)]:
        wanted = generation(KINDS.FLAT, code, dimensions=dimensions)
        spec = base.Spec(wanted.metric, wanted.engine, wanted.hnsw, wanted.ivf, wanted.quantization)
        index = codes.rotated(codes._untrained(spec, dimensions), spec)
        assert codes.unrotated(index).index.code_size == memory.code_bytes(wanted)
    assert math.isclose(memory.code_bytes(generation(KINDS.HNSW)), 4 * DIMENSIONS)
    assert faiss.IndexFlat(DIMENSIONS).code_size == 4 * DIMENSIONS
