"""Each engine with each code: build time, resident bytes against the formula, recall against queries/s."""

import concurrent.futures
import ctypes
import dataclasses
import multiprocessing
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator

import contest
import datasets
import faiss
import numpy as np
import options
import report

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.engines import base, memory, registry
from vectorfleet_shardnode.segments import vectors_file

K, EF, WIDTHS = 10, 100, (0.3, 1, 3)
KINDS, CODES = config.EngineKind, config.QuantizationKind
HNSW = config.HnswParameters(m=16, ef_construction=128, ef_search=EF)
VECTORS = "vectors.bin"


@dataclasses.dataclass(frozen=True)
class Variant:
    """An engine with a code, in a folder of its own."""

    engine: config.EngineKind
    code: config.Quantization
    folder: pathlib.Path

    @property
    def name(self) -> str:
        """What tables call it."""
        ratio = f" {self.code.ratio}x" if self.code.kind is CODES.PQ else ""
        return f"{self.engine} {self.code.kind}{ratio}".removesuffix(" none")

    @property
    def spec(self) -> base.Spec:
        """What is built."""
        return base.Spec(config.Metric.COSINE, self.engine, HNSW, config.IvfParameters(), self.code)

    def formula(self, rows: int, dimensions: int) -> float:
        """Return the formula's bytes of a row."""
        wanted = config.Generation(
            dimensions=dimensions, engine=self.engine, hnsw=HNSW, quantization=self.code
        )
        return memory.needed(wanted, rows).of(rows) / rows

    def build(self, vectors: np.ndarray, links: pathlib.Path | None) -> float:
        """Build; return the seconds. A graph has the same links whatever the code: they are taken over."""
        home, begin = base.Home(self.folder), time.perf_counter()
        if links is None or self.engine is not KINDS.HNSW:
            registry.build(self.spec, vectors, home)
        else:
            registry.build(dataclasses.replace(self.spec, engine=KINDS.FLAT), vectors, home)
            shutil.copy(links, self.folder)
        return time.perf_counter() - begin

    def open(self) -> tuple[base.Engine, vectors_file.VectorsFile]:
        """Open the engine as a segment does."""
        stored = vectors_file.VectorsFile(self.folder / VECTORS)
        if self.spec.coded:
            stored.expect_few()
        engine = registry.open_engine(self.spec, stored, stored.rows, base.Home(self.folder))
        if engine is None:
            raise ValueError(f"{self.name} builds nothing")
        return engine, stored

    def answer(self, engine: base.Engine, rows: int, width: float, *, rescore: bool) -> contest.Answer:
        """Return the engine's search at a multiple of its usual effort."""
        probes = 0
        if self.engine is KINDS.IVF:
            usual = faiss.read_index(str(self.folder / registry.LISTS), faiss.IO_FLAG_MMAP_IFC)
            probes = max(1, round(width * faiss.extract_index_ivf(usual).nprobe))
        effort = base.Effort(ef=round(width * EF), probes=probes, rescore=rescore)
        wider = engine.widened(rows, K, effort) or effort
        return lambda query: engine.search(query, K, None, wider).rows[0].tolist()


def variants(root: pathlib.Path) -> Iterator[Variant]:
    """Name what is measured."""
    coded = [config.Quantization(kind=kind) for kind in (CODES.FLOAT16, CODES.SQ8, CODES.RABITQ)]
    coded += [config.Quantization(kind=CODES.PQ, ratio=ratio) for ratio in (8, 16, 32)]
    plain = config.Quantization()
    pairs = [(KINDS.HNSW, plain), (KINDS.HNSWLIB, plain), (KINDS.IVF, plain)]
    pairs += [(KINDS.HNSW, code) for code in coded]
    small = [code for code in coded if code.kind is not CODES.PQ or code.ratio == 16]
    pairs += [(engine, code) for engine in (KINDS.IVF, KINDS.FLAT) for code in small]
    for number, (engine, code) in enumerate(pairs):
        yield Variant(engine, code, root / str(number))


def measure(given: options.Options) -> Iterator[report.Section]:
    """Build every variant over the same rows, and ask it the same queries."""
    data = given.data()
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as root:
        built = {one: _build(one, data) for one in variants(pathlib.Path(root))}
        curves, usual = {}, {}
        for one in built:
            options.say(f"{one.name} is asked")
            points = _ask(one, data)
            usual[one] = points["raw"], points["x1"]
            curves[one.name] = [
                (points[f"x{width}"].recall, points[f"x{width}"].per_second) for width in WIDTHS
            ]
        resident = {one: _alone(one, data) for one in built}
        yield _section(data, built, usual, resident, curves)


def _build(one: Variant, data: datasets.Dataset) -> float:
    options.say(f"{one.name} is built")
    one.folder.mkdir()
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    vectors_file.write(one.folder / VECTORS, data.stored.shape[1], len(data.stored), [data.stored])
    links = one.folder.parent / "0" / registry.GRAPH
    return one.build(data.stored, links if links.exists() else None)


def _ask(one: Variant, data: datasets.Dataset) -> dict[str, contest.Point]:
    engine, _ = one.open()
    rows = len(data.stored)
    ways = {f"x{width}": one.answer(engine, rows, width, rescore=True) for width in WIDTHS}
    return contest.compare(
        data.asked, data.exact(K), ways | {"raw": one.answer(engine, rows, 1, rescore=False)}
    )


def _alone(one: Variant, data: datasets.Dataset) -> tuple[float, float]:
    """Return resident bytes a row, of what is searched and of full vectors beside it, in a fresh process."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(_resident, one, data.asked).result()


def _resident(one: Variant, asked: np.ndarray) -> tuple[float, float]:
    before = _allocated()
    engine, stored = one.open()
    answer = one.answer(engine, stored.rows, 1, rescore=True)
    for number in range(len(asked)):
        answer(asked[number : number + 1])
    full = _mapped(one.folder / VECTORS)
    searched = _allocated() - before + sum(_mapped(one.folder / name) for name in registry.files_of(one.spec))
    if one.engine is KINDS.HNSW and not one.spec.coded:
        searched, full = searched + full, 0
    return searched / stored.rows, full / stored.rows


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    ]


def _allocated() -> int:
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Mallinfo
    found = ask()
    return int(found.uordblks + found.hblkhd)


def _mapped(path: pathlib.Path) -> int:
    """Return the resident bytes of a file's mappings in this process."""
    total, inside = 0, False
    for line in pathlib.Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def _section(
    data: datasets.Dataset,
    built: dict[Variant, float],
    usual: dict[Variant, tuple[contest.Point, contest.Point]],
    resident: dict[Variant, tuple[float, float]],
    curves: dict[str, list[tuple[float, float]]],
) -> report.Section:
    rows = []
    for one, seconds in built.items():
        raw, rescored = usual[one]
        formula, (held, full) = one.formula(*data.stored.shape), resident[one]
        row = [one.name, seconds, formula, held, held / formula, full]
        rows.append(
            [*row, f"{raw.recall:.3f}", raw.per_second, f"{rescored.recall:.3f}", rescored.per_second]
        )
    text = (
        f"{len(data.stored):,} x {data.stored.shape[1]}, cosine, k {K}, M 16, efConstruction 128, "
        f"efSearch {EF}, probes as chosen at the build, oversampling 4, one thread. Build seconds of hnsw "
        "with codes are those of the codes alone. Resident: what searches walk over, after all queries, in "
        "a process of its own; beside it the pages of full vectors that rescoring touched, which the kernel "
        "may drop."
    )
    header = ["", "build s", "formula B/row", "resident B/row", "over formula", "full vectors B/row"]
    header += ["recall@10, codes alone", "queries/s", "recall@10, rescored", "queries/s"]
    figures = []
    for engine in (KINDS.HNSW, KINDS.IVF, KINDS.FLAT):
        chosen = {name: points for name, points in curves.items() if name.split()[0].startswith(engine)}
        title = f"{engine}: 0.3, 1 and 3 times the usual effort, rescored"
        drawn = report.lines(chosen, "recall@10", "queries/s, one thread", title)
        figures.append(report.Plot(f"bench-compression-{engine}", drawn))
    return report.Section("Engines and compression", text, header, rows, figures)
