"""Writes what was measured: a Markdown table, and plots as PNG."""

import dataclasses
import os
import pathlib

import engine
import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

Pairs = list[tuple[engine.Point, engine.Point]]


@dataclasses.dataclass(frozen=True)
class Build:
    """Seconds and CPU seconds: of raw FAISS's build, and of the shard from first row to settled."""

    raw_seconds: float
    raw_cpu: float
    seconds: float
    cpu: float


@dataclasses.dataclass(frozen=True)
class Results:
    """Everything that one run measured."""

    title: str
    rows: int
    load: list[float]
    build: Build
    fresh: Pairs
    old: Pairs
    segments: int
    filtered: list[engine.Point]
    ingest: list[tuple[int, float]]


def write(folder: pathlib.Path, found: Results) -> str:
    """Write `results.md` and the plots; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join([*_head(found), *_searches(found), *_filters(found), *_ingest(found)]) + "\n"
    (folder / "results.md").write_text(text)
    _draw_recall(folder / "bench-recall.png", found)
    _draw_ingest(folder / "bench-ingest.png", found)
    return text


def _head(found: Results) -> list[str]:
    build, (before, after) = found.build, found.load
    seconds, cpu = build.seconds / build.raw_seconds, build.cpu / build.raw_cpu
    return [
        f"{found.title}: {found.rows:,} x 384, cosine, k 10, M 16, efConstruction 128; "
        f"{len(os.sched_getaffinity(0))} cores; load average {before:.1f} before, {after:.1f} after.",
        "",
        "| build | raw FAISS | shard, first row to settled | ratio |",
        "|---|---|---|---|",
        f"| seconds | {build.raw_seconds:.1f} | {build.seconds:.1f} | {seconds:.2f} |",
        f"| CPU seconds | {build.raw_cpu:.1f} | {build.cpu:.1f} | {cpu:.2f} |",
        "",
    ]


def _searches(found: Results) -> list[str]:
    lines = []
    for name, pairs in (
        ("fresh", found.fresh),
        (f"half replaced, {found.segments} segment(s)", found.old),
    ):
        lines += [
            f"| efSearch ({name}) | raw queries/s | raw recall | shard queries/s | shard recall | ratio |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {raw.setting} | {raw.per_second:.0f} | {raw.recall:.3f} | {own.per_second:.0f} "
            f"| {own.recall:.3f} | {own.per_second / raw.per_second:.2f} |"
            for raw, own in pairs
        ]
        lines.append("")
    return lines


def _filters(found: Results) -> list[str]:
    base = found.filtered[0]
    lines = [
        "| rows that pass | recall@10 | mean ms | p95 ms | times the unfiltered mean |",
        "|---|---|---|---|---|",
    ]
    for one in found.filtered:
        times = base.per_second / one.per_second
        mean = 1000 / one.per_second
        lines.append(f"| {one.setting:.1%} | {one.recall:.3f} | {mean:.2f} | {one.p95:.2f} | {times:.2f} |")
    return [*lines, ""]


def _ingest(found: Results) -> list[str]:
    lines = ["| batch | durable rows/s |", "|---|---|"]
    return lines + [f"| {batch} | {rate:,.0f} |" for batch, rate in found.ingest]


def _draw_recall(path: pathlib.Path, found: Results) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5))
    sides = (("raw FAISS", found.fresh, 0), ("shard", found.fresh, 1), ("shard, half replaced", found.old, 1))
    for (label, pairs, side), marker in zip(sides, "os^", strict=True):
        points = [pair[side] for pair in pairs]
        axes.plot([p.recall for p in points], [p.per_second for p in points], marker=marker, label=label)
    axes.set(xlabel="recall@10", ylabel="queries/s, one thread", title=f"{found.rows:,} x 384, cosine")
    _save(figure, axes, path)


def _draw_ingest(path: pathlib.Path, found: Results) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5))
    axes.plot(*zip(*found.ingest, strict=True), marker="o", label="shard, fsync before the answer")
    axes.set(xlabel="rows in a batch", ylabel="durable rows/s", title="Ingest, 384 dimensions and metadata")
    _save(figure, axes, path)


def _save(figure: plt.Figure, axes: plt.Axes, path: pathlib.Path) -> None:
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
