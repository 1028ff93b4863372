"""What a hybrid query costs beside its two parts: by vector, by text, and both fused, of one server."""

import gzip
import json
import pathlib
import tempfile
from collections.abc import Iterator, Mapping

import numpy as np
import options
import report

from . import contender, ours, rest, usage, workload, wrk

_FIELD = "about"
_PRESSURES = (contender.Pressure(1, 3), contender.Pressure(8, 3))
Queries = Mapping[str, list[dict[str, object]]]


def measure(given: options.Options) -> Iterator[report.Section]:
    """Load packages with their descriptions; ask by their vectors, by words, and by both."""
    documents = given.folder / "documents.jsonl.gz" if given.folder else None
    if documents is None or not documents.exists():
        options.say("hybrid queries need texts: name a folder with documents.jsonl.gz in --data")
        return
    work = workload.Workload(given.data(), contender.K)
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
        folder = pathlib.Path(name)
        with ours.Serve("--text-field", _FIELD).start(folder, work) as running:
            options.say("a server takes rows with texts")
            running.load(_bodies(work, _texts(documents)))
            running.settle()
            yield _section(running, folder, _queries(work, documents.with_name("queries.json")))


def _texts(documents: pathlib.Path) -> list[str]:
    """Return the descriptions, in the order of the vectors."""
    with gzip.open(documents, "rt") as lines:
        texts = [json.loads(line)["description"] for line in lines]
    return [texts[number] for number in np.random.default_rng(7).permutation(len(texts))]


def _bodies(work: workload.Workload, texts: list[str]) -> list[bytes]:
    bodies = []
    for piece in work.pieces(ours.BATCH):
        vectors = work.data.stored[piece.start : piece.stop].tolist()
        rows = [
            {"id": str(number), "values": values, "metadata": {_FIELD: texts[number]}}
            for number, values in zip(piece, vectors, strict=True)
        ]
        bodies.append(json.dumps({"vectors": rows}).encode())
    return bodies


def _queries(work: workload.Workload, asked: pathlib.Path) -> Queries:
    texts = json.loads(asked.read_text())
    parts = list(zip(work.data.asked.tolist(), texts, strict=False))
    return {
        "vector": [{"vector": vector, "topK": work.k} for vector, _ in parts],
        "text": [{"text": text, "topK": work.k} for _, text in parts],
        "vector and text": [{"vector": vector, "text": text, "topK": work.k} for vector, text in parts],
    }


def _section(running: ours.Running, folder: pathlib.Path, queries: Queries) -> report.Section:
    rows: list[list[report.Cell]] = []
    for name, bodies in queries.items():
        prepared = folder / "hybrid.jsonl"
        prepared.write_text("\n".join(map(json.dumps, bodies)) + "\n")
        _ask(running.api, prepared, contender.Pressure(8, 1))
        cells: list[report.Cell] = []
        for pressure in _PRESSURES:
            before = usage.cpu_seconds(running.roots)
            load = _ask(running.api, prepared, pressure)
            cpu = (usage.cpu_seconds(running.roots) - before) * 1000 / (load.per_second * pressure.seconds)
            cells += [load.per_second, load.p50, load.p99, cpu]
        rows.append([name, *cells])
    text = (
        "`vectorfleet serve`, the packages' descriptions and vectors, balanced profile at its own efSearch; "
        "fused by rrf of the first 100 of each list. wrk with 1 and 8 callers; CPU in milliseconds a query."
    )
    header = ["", "queries/s, 1", "p50 ms", "p99 ms", "CPU", "queries/s, 8", "p50 ms", "p99 ms", "CPU"]
    return report.Section("Hybrid queries", text, header, rows)


def _ask(api: rest.Api, prepared: pathlib.Path, pressure: contender.Pressure) -> contender.Load:
    return wrk.run(wrk.command(api.url + api.query, prepared, api.usual, pressure))
