"""What a benchmark hands in, and how it is written down: Markdown tables, and plots as PNG."""

import dataclasses
import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Sequence

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

Cell = str | int | float
_NAMED = ("vectorfleet", "faiss-cpu", "hnswlib", "numpy", "pyarrow", "grpcio")


@dataclasses.dataclass(frozen=True)
class Plot:
    """A figure and the name of its file, without the ending."""

    name: str
    figure: plt.Figure


@dataclasses.dataclass(frozen=True)
class Section:
    """One table with a title, a sentence on what was done, and plots beside it."""

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    plots: Sequence[Plot] = ()


@dataclasses.dataclass(frozen=True)
class Part:
    """A part that was run: the seconds it took, and the load average of the machine before and after."""

    name: str
    seconds: float
    before: float
    after: float


def head(title: str, parts: Sequence[Part]) -> str:
    """Return what a reader must know of the machine, the data and the run."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _NAMED)
    ran = "; ".join(f"{one.name} {one.seconds:.0f} s ({one.before:.1f}, {one.after:.1f})" for one in parts)
    return (
        f"{title}. {len(os.sched_getaffinity(0))} cores ({_processor()}), {_memory():.0f} GiB, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, {versions}.\n\n"
        f"Parts, with the load average before and after: {ran}; "
        f"{sum(one.seconds for one in parts):.0f} s in all.\n"
    )


def _memory() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _processor() -> str:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def write(folder: pathlib.Path, introduction: str, sections: Sequence[Section]) -> str:
    """Write `results.md` and the plots into a folder; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join([introduction, *(_section(folder, section) for section in sections)])
    (folder / "results.md").write_text(text)
    return text


def _section(folder: pathlib.Path, section: Section) -> str:
    lines = [f"### {section.title}", "", section.text, ""]
    lines += ["| " + " | ".join(section.header) + " |", "|" + "---|" * len(section.header)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in section.rows]
    for plot in section.plots:
        plot.figure.savefig(folder / f"{plot.name}.png", dpi=110, bbox_inches="tight")
        plt.close(plot.figure)
        lines += ["", f"![{section.title}]({plot.name}.png)"]
    return "\n".join([*lines, ""])


def _cell(value: Cell) -> str:
    match value:
        case float() if abs(value) >= 1000:
            return f"{value:,.0f}"
        case float() if abs(value) >= 100:
            return f"{value:.0f}"
        case float() if abs(value) >= 10:
            return f"{value:.1f}"
        case float():
            return f"{value:.3g}" if abs(value) < 0.1 else f"{value:.2f}"
        case int():
            return f"{value:,}"
        case _:
            return value


def lines(
    series: dict[str, Sequence[tuple[float, float]]], across: str, up: str, title: str, **axes: object
) -> plt.Figure:
    """Draw named lines through points of (x, y)."""
    figure, plot = plt.subplots(figsize=(7, 4.5))
    for (label, points), marker in zip(series.items(), "os^Dv*Px<>" * 3, strict=False):
        plot.plot(*zip(*points, strict=True), marker=marker, label=label)
    plot.set(xlabel=across, ylabel=up, title=title, **axes)
    if "yscale" not in axes:
        plot.set_ylim(bottom=0)
    plot.grid(alpha=0.3)
    plot.legend(loc="upper left", bbox_to_anchor=(1, 1))  # beside the plot, where it hides no line
    return figure


def bars(named: dict[str, Sequence[float]], parts: Sequence[str], across: str, title: str) -> plt.Figure:
    """Draw bars side by side for each name, one for each part."""
    figure, plot = plt.subplots(figsize=(7, 0.6 + 0.5 * len(named)))
    height = 0.8 / len(parts)
    for number, label in enumerate(parts):
        places = [row + number * height for row in range(len(named))]
        plot.barh(places, [values[number] for values in named.values()], height, label=label)
    plot.set_yticks([row + 0.4 - height / 2 for row in range(len(named))], list(named))
    plot.invert_yaxis()
    plot.set(xlabel=across, title=title)
    plot.grid(alpha=0.3, axis="x")
    plot.legend()
    return figure
