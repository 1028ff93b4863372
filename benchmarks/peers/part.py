"""The part `peers` of the benchmark: measures contenders in turn, and reports all turns that are kept."""

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping

import options
import report

from . import (
    chroma,
    contender,
    embedded,
    kept,
    measuring,
    ours,
    pgvector,
    qdrant,
    raw,
    tables,
    weaviate,
    workload,
)

CONTENDERS: Mapping[str, contender.Contender] = {
    "faiss": raw.Faiss(),
    "hnswlib": raw.Hnswlib(),
    "serve": ours.Serve(),
    "workers": ours.Workers(),
    "apart": ours.Apart(),
    "qdrant": qdrant.Qdrant(),
    "pgvector": pgvector.Pgvector(),
    "weaviate": weaviate.Weaviate(),
    "chroma": chroma.Chroma(),
    "lancedb": embedded.LANCEDB,
    "milvus": embedded.MILVUS,
}


def measure(given: options.Options) -> Iterator[report.Section]:
    """Measure what was asked for; with `--add`, beside what earlier runs kept."""
    path, work = given.out / "peers.json", workload.Workload(given.data(), contender.K)
    turns = kept.read(path) if given.add else []
    turn = kept.Turn(time.strftime("%Y-%m-%d %H:%M"), os.getloadavg()[0], [], {})
    for name in given.contenders or tuple(CONTENDERS):
        turn = _with(turn, CONTENDERS[name], work)
        kept.write(path, [*turns, turn])  # after each, since the next may take long, or fail
    title = f"{work.count:,} x {work.dimensions}, cosine, {given.data().title}"
    yield from tables.sections([*turns, turn], title)


def _with(turn: kept.Turn, one: contender.Contender, work: workload.Workload) -> kept.Turn:
    """Return the turn with one more contender, or with why it can't be measured here."""
    try:
        return dataclasses.replace(turn, measured=[*turn.measured, measuring.measure(one, work)])
    except contender.SkippedError as reason:
        options.say(f"{one.name} is skipped: {reason}")
        return dataclasses.replace(turn, skipped={**turn.skipped, one.name: str(reason)})


if __name__ == "__main__":
    print("\n".join(tables.described(CONTENDERS.values())))
