"""The part `peers` of the benchmark: measures contenders in turn, and reports all turns that are kept."""

import os
import time
from collections.abc import Iterator, Mapping

import options
import report

from . import chroma, contender, kept, measuring, ours, pgvector, qdrant, raw, tables, weaviate, workload

CONTENDERS: Mapping[str, contender.Contender] = {
    "faiss": raw.Faiss(),
    "hnswlib": raw.Hnswlib(),
    "serve": ours.Serve(),
    "apart": ours.Apart(),
    "qdrant": qdrant.Qdrant(),
    "pgvector": pgvector.Pgvector(),
    "pgvector-stored": pgvector.Pgvector(stored=True),
    "weaviate": weaviate.Weaviate(),
    "chroma": chroma.Chroma(),
}


def measure(given: options.Options) -> Iterator[report.Section]:
    """Measure what was asked for; with `--add`, beside what earlier runs kept."""
    path, work = given.out / "peers.json", workload.Workload(given.data(), contender.K)
    turns = kept.read(path) if given.add else []
    turn = _turn(given.contenders or tuple(CONTENDERS), work)
    kept.write(path, [*turns, turn])
    title = f"{work.count:,} x {work.dimensions}, cosine, {given.data().title}"
    yield from tables.sections([*turns, turn], title)


def _turn(names: tuple[str, ...], work: workload.Workload) -> kept.Turn:
    when, before = time.strftime("%Y-%m-%d %H:%M"), os.getloadavg()[0]
    measured, skipped = [], {}
    for name in names:
        try:
            measured.append(measuring.measure(CONTENDERS[name], work))
        except contender.SkippedError as reason:
            options.say(f"{CONTENDERS[name].name} is skipped: {reason}")
            skipped[CONTENDERS[name].name] = str(reason)
    return kept.Turn(when, before, measured, skipped)
