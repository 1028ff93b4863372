"""What an engine keeps in memory, and what its build takes: computed from rows and dimensions. Pure.

Resident are the pages that searches touch all over: links, codes, vectors that are walked over. Vectors on
disk that only rescoring reads are not; the kernel may keep some and drops them first.
"""

import dataclasses
import math

from ..api import config

_FLOAT, _LINK, _ROW_ID = 4, 4, 8
_LEVEL, _OFFSET = 4, 8  # of a node of FAISS's graph: its top level, and where its links begin
_HNSWLIB_NODE = (
    112  # beside vector and links: label, lock, level, pointer, and its place in the table of labels
)
_HNSWLIB_LOCKS = 65_536 * 40  # of every index, however small
_CODEBOOK = 256  # centroids of a piece
_FACTORS = 8  # bytes of a RaBitQ code beside its bits
_ROWS_PER_LIST = 39  # fewer than this train no good centroid, says FAISS
_Kind = config.QuantizationKind
_Engine = config.EngineKind


@dataclasses.dataclass(frozen=True)
class Bytes:
    """Bytes that grow with the rows, and those that a segment has whatever its rows, while it is searched.

    Attributes:
        row: of each row.
        segment: of each segment.
        build: of each row while the segment is built, beside all this.
    """

    row: float
    segment: float
    build: float

    def of(self, rows: int, segments: int = 1) -> int:
        """Return the resident bytes of so many rows."""
        return math.ceil(self.row * rows + self.segment * segments)


def needed(generation: config.Generation, rows: int) -> Bytes:
    """Return what the engine over the rows' values takes, in segments of `rows` rows; payload not counted.

    Of a vector field the same is told by `generation.of_field(field)` and the number of its vectors.
    """
    vector, code = generation.dimensions * _FLOAT, code_bytes(generation)
    quantizer = _quantizer(generation)
    match generation.engine:
        case _Engine.HNSW:
            graph = links(generation.hnsw.m)
            return Bytes(code + graph, quantizer, vector + graph)
        case _Engine.HNSWLIB:
            held = vector + _hnswlib_links(generation.hnsw.m) + _HNSWLIB_NODE
            return Bytes(held, _HNSWLIB_LOCKS, held)
        case _Engine.IVF | _Engine.GPU:
            centroids = lists_of(rows, generation.ivf.lists) * vector
            return Bytes(code + _ROW_ID, quantizer + centroids, code + _ROW_ID)
    return Bytes(code, quantizer, code if generation.quantization.kind is not _Kind.NONE else 0)


def code_bytes(generation: config.Generation) -> int:
    """Return the bytes that a vector takes in what is searched."""
    dimensions, code = generation.dimensions, generation.quantization
    match code.kind:
        case _Kind.FLOAT16:
            return dimensions * 2
        case _Kind.SQ8:
            return dimensions
        case _Kind.PQ:
            return dimensions * _FLOAT // code.ratio
        case _Kind.RABITQ:
            return math.ceil(dimensions / 8) + _FACTORS
    return dimensions * _FLOAT


def _quantizer(generation: config.Generation) -> int:
    """Return the bytes of what encodes, which is held twice: the file's pages, and FAISS's copy of them."""
    dimensions = generation.dimensions
    match generation.quantization.kind:
        case _Kind.SQ8:
            return 2 * 2 * dimensions * _FLOAT  # least and difference of each dimension
        case _Kind.PQ:
            return 2 * _CODEBOOK * dimensions * _FLOAT
        case _Kind.RABITQ:
            return 2 * (dimensions + 1) * dimensions * _FLOAT  # the rotation, and the centre
    return 0


def links(m: int) -> float:
    """Return the bytes of a node in FAISS's graph: 2 M links below, and M on each level that it reaches."""
    return _LINK * (2 * m + m / (m - 1)) + _LEVEL + _OFFSET


def _hnswlib_links(m: int) -> float:
    below, above = _LINK * (2 * m + 1), _LINK * (m + 1) / (m - 1)
    return below + above


def lists_of(rows: int, wanted: int) -> int:
    """Return how many lists a segment gets: as wanted, or 4 times the root of its rows; none nearly empty."""
    return max(1, min(wanted or round(4 * math.sqrt(rows)), rows // _ROWS_PER_LIST))
