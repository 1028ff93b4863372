"""Turns as tables and plots."""

from collections.abc import Iterable, Iterator

import report

from . import contender, kept, measuring, ours, raw

OURS = ours.Serve.name
Latest = dict[str, tuple[measuring.Measured, kept.Turn]]


def sections(turns: list[kept.Turn], title: str) -> Iterator[report.Section]:
    """Return everything that was measured; a contender's figures are those of its last turn."""
    last = kept.latest(turns)
    for wanted in measuring.RECALLS:
        yield _queries(last, wanted, title)
    yield _loads(last, title)
    yield _steady(last)
    yield _settings(last)
    yield _skipped(turns)


def described(contenders: Iterable[contender.Contender]) -> list[str]:
    """Return the lines of a Markdown table that says how each is had, run, set up and asked. Pure."""
    header = ["", "comes from", "is run by", "settings", "a row that was answered is", "is asked by"]
    rows = [[one.name, one.origin, one.command, one.settings, one.durable, one.driver] for one in contenders]
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _queries(last: Latest, wanted: float, title: str) -> report.Section:
    rows: list[list[report.Cell]] = []
    for one, turn in last.values():
        at = _at(one, wanted)
        low, middle, high = (at.loads[connections] for connections in measuring.CONNECTIONS)
        rates = [load.per_second for load in (low, middle, high)]
        times = [f"{load.p50:.2f}, {load.p95:.2f}, {load.p99:.2f}" for load in (low, middle, high)]
        cpu = [middle.cpu, _times(middle.cpu, _cpu(last, turn, wanted))]
        ahead = _times(_rate(turn, wanted), high.per_second)
        rows.append([one.name, at.effort, f"{at.recall:.3f}", *rates, *times, *cpu, ahead])
    text = (
        f"The least effort that finds {wanted:g} of the 10 nearest. Queries/s and milliseconds (p50, p95, "
        "p99) with 1, 8 and 32 callers; milliseconds of CPU a query, all processes, at 8 callers; as a "
        f"multiple of FAISS in process (in the same turn, else its last one); and {OURS}'s queries/s at 32 "
        "callers in the same turn, as a multiple."
    )
    header = ["", "effort", "recall", "queries/s, 1", "8", "32", "ms, 1", "ms, 8", "ms, 32"]
    header += ["CPU ms", "x FAISS", "ours, 32"]
    plots = [_curves(last, title), _latencies(last, wanted)] if wanted == measuring.RECALLS[0] else []
    return report.Section(f"Queries at recall {wanted:g}", text, header, rows, plots)


def _loads(last: Latest, title: str) -> report.Section:
    rows: list[list[report.Cell]] = [
        [
            one.name,
            one.durable,
            one.rows / one.load_seconds,
            one.load_seconds,
            one.indexed_seconds,
            one.load_cpu,
            one.resident or "",
        ]
        for one, _ in last.values()
    ]
    text = (
        "Rows are sent by 4 connections in batches, bodies made beforehand. Seconds from the first row on; "
        "CPU seconds of all processes until everything is indexed."
    )
    header = ["", "a row that was answered is", "rows/s", "loaded, s", "indexed, s", "CPU s", "resident MiB"]
    return report.Section("Loading", text, header, rows, [_bars(last, title)])


def _steady(last: Latest) -> report.Section:
    rows: list[list[report.Cell]] = []
    for one, _ in last.values():
        for at in one.reached:
            if at.steady:
                times = [at.steady.p50, at.steady.p95, at.steady.p99, at.steady.p99 / at.steady.p50]
                rows.append([one.name, f"{at.recall:.3f}", at.steady.per_second, *times])
    text = (
        f"{measuring.CONNECTIONS[-1]} callers who pause at random between an answer and the next request, so "
        f"that some {measuring.SHARE:.0%} of the highest rate comes."
    )
    header = ["", "recall", "queries/s", "p50 ms", "p95 ms", "p99 ms", "p99 / p50"]
    return report.Section("Latency below saturation", text, header, rows)


def _settings(last: Latest) -> report.Section:
    rows: list[list[report.Cell]] = [
        [one.name, one.version, one.settings, one.driver, turn.when, turn.before]
        for one, turn in last.values()
    ]
    header = ["", "version", "settings", "asked by", "measured", "load average before"]
    return report.Section("Versions and settings", "As they come but for what is named.", header, rows)


def _skipped(turns: list[kept.Turn]) -> report.Section:
    measured = kept.latest(turns)
    why = {name: said for turn in turns for name, said in turn.skipped.items() if name not in measured}
    rows: list[list[report.Cell]] = [[name, said] for name, said in why.items()]
    return report.Section("Not measured", "Contenders that could not run here.", ["", "why"], rows)


def _at(one: measuring.Measured, wanted: float) -> measuring.Reached:
    return next(at for at in one.reached if at.wanted == wanted)


def _cpu(last: Latest, turn: kept.Turn, wanted: float) -> float | None:
    """Return FAISS's CPU of the same turn, or of its last one."""
    faiss = raw.Faiss.name
    found = kept.beside(turn, faiss) or (last[faiss][0] if faiss in last else None)
    return _at(found, wanted).loads[measuring.CONNECTIONS[0]].cpu if found else None


def _rate(turn: kept.Turn, wanted: float) -> float | None:
    found = kept.beside(turn, OURS)
    return _at(found, wanted).loads[measuring.CONNECTIONS[-1]].per_second if found else None


def _times(part: float | None, whole: float | None) -> report.Cell:
    return part / whole if part and whole else ""


def _curves(last: Latest, title: str) -> report.Plot:
    series = {one.name: one.curve for one, _ in last.values()}
    figure = report.lines(series, "recall@10", "queries/s, 8 callers", title, yscale="log")
    return report.Plot("peers-recall", figure)


def _latencies(last: Latest, wanted: float) -> report.Plot:
    series = {
        one.name: [(load.per_second, load.p95) for load in _at(one, wanted).loads.values()]
        for one, _ in last.values()
        if one.served
    }
    title = f"recall {wanted:g}; 1, 8 and 32 callers"
    return report.Plot("peers-latency", report.lines(series, "queries/s", "p95, ms", title, yscale="log"))


def _bars(last: Latest, title: str) -> report.Plot:
    named = {one.name: (one.load_seconds, one.indexed_seconds) for one, _ in last.values()}
    return report.Plot("peers-loading", report.bars(named, ("loaded", "indexed"), "seconds", title))
