"""Takes one contender through everything: load, settle, find the efforts, ask under load."""

import dataclasses
import pathlib
import tempfile
import time

import options

from . import contender, tuning, usage, workload

RECALLS = (0.95, 0.99)
CONNECTIONS = (1, 8, 32)
SHARE = 0.7
_WARM_SECONDS = 1
_SECONDS = 3
_CURVE_SECONDS = 2
_CURVE_CONNECTIONS = 8


@dataclasses.dataclass(frozen=True)
class Reached:
    """What was measured at one recall.

    Attributes:
        wanted, recall: what was asked for, and what this effort reached.
        effort: efSearch or the like.
        loads: by connections, without pauses.
        steady: at 70 % of the highest rate among them, callers pausing; None where that was not measured.
    """

    wanted: float
    recall: float
    effort: int
    loads: dict[int, contender.Load]
    steady: contender.Load | None


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of one contender.

    Attributes:
        rows: how many were loaded.
        load_seconds: from the first write to the last answer.
        indexed_seconds: from the first write until every row was in the index.
        load_cpu: seconds of CPU until then.
        resident: MiB of all its processes once it was settled; 0 where it shares the benchmark's.
        curve: (recall, queries a second at 8 connections), by rising effort.
    """

    name: str
    version: str
    served: bool
    settings: str
    durable: str
    driver: str
    rows: int
    load_seconds: float
    indexed_seconds: float
    load_cpu: float
    resident: float
    reached: list[Reached]
    curve: list[tuple[float, float]]


def measure(one: contender.Contender, work: workload.Workload) -> Measured:
    """Measure one contender, started and stopped here.

    Raises:
        SkippedError: it can't run here.
    """
    version = one.version()
    with (
        tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as folder,
        one.start(pathlib.Path(folder), work) as running,
    ):
        options.say(f"{one.name} {version} is loaded")
        loaded = _load(running, work)
        options.say(f"loaded in {loaded[0]:.1f} s, indexed after {loaded[1]:.1f} s")
        resident = usage.resident_mib(running.roots) if running.roots else 0.0
        reached = [_reach(one, running, work, wanted) for wanted in RECALLS]
        curve = _curve(one, running, work, reached)
    named = (one.name, version, one.served, one.settings, one.durable, one.driver, work.count)
    return Measured(*named, *loaded, resident, reached, curve)


def _load(running: contender.Running, work: workload.Workload) -> tuple[float, float, float]:
    bodies = running.prepare(work)
    cpu, begin = usage.cpu_seconds(running.roots), time.perf_counter()
    running.load(bodies)
    loaded = time.perf_counter()
    del bodies
    settled = max(running.settle(), loaded)
    return loaded - begin, settled - begin, usage.cpu_seconds(running.roots) - cpu


def _reach(
    one: contender.Contender, running: contender.Running, work: workload.Workload, wanted: float
) -> Reached:
    effort, recall = tuning.least(one.efforts, lambda effort: work.recall(running.answers(effort)), wanted)
    press(running, effort, contender.Pressure(8, _WARM_SECONDS))
    loads = {
        connections: press(running, effort, contender.Pressure(connections, _SECONDS))
        for connections in CONNECTIONS
    }
    steady = _steady(running, effort, loads) if one.driver == "wrk" else None
    at = loads[CONNECTIONS[-1]]
    options.say(f"recall {recall:.3f} at {effort}: {at.per_second:,.0f} queries/s, {at.cpu:.2f} ms of CPU")
    return Reached(wanted, recall, effort, loads, steady)


def press(running: contender.Asked, effort: int, pressure: contender.Pressure) -> contender.Load:
    """Ask under load, with what the contender's processes used of the CPU."""
    before = usage.cpu_seconds(running.roots)
    load = running.press(effort, pressure)
    used = usage.cpu_seconds(running.roots) - before
    return dataclasses.replace(load, cpu=used * 1000 / (load.per_second * pressure.seconds))


def _steady(running: contender.Running, effort: int, loads: dict[int, contender.Load]) -> contender.Load:
    """Ask at a share of the highest rate, by many callers who pause: arrivals are nearly at random."""
    saturated, callers = max(load.per_second for load in loads.values()), CONNECTIONS[-1]
    pause = tuning.pause_for(SHARE, saturated, callers, 2 * loads[1].p50)
    return press(running, effort, contender.Pressure(callers, _SECONDS, pause))


def _curve(
    one: contender.Contender, running: contender.Running, work: workload.Workload, reached: list[Reached]
) -> list[tuple[float, float]]:
    points = [(at.recall, at.loads[_CURVE_CONNECTIONS].per_second) for at in reached]
    for effort in (one.efforts[0], 2 * reached[-1].effort):
        if effort in {at.effort for at in reached} or effort > one.efforts[-1]:
            continue
        recall = work.recall(running.answers(effort))
        load = press(running, effort, contender.Pressure(_CURVE_CONNECTIONS, _CURVE_SECONDS))
        points.append((recall, load.per_second))
    return sorted(points)
