"""How a builder shares cores with those who serve: it leaves them one, and yields, unless it starves.

A builder that yields runs under SCHED_IDLE: it gets a core that nobody else in its cgroup wants, and loses it
at once to whoever wakes up. Where all cores are wanted all the time it gets next to nothing, and a process
without privileges can't be brought back from there. So a builder that starves is ended, and another one is
started that is only nice, and gets its small share whatever the load. It has starved for as long as what is
lost with it took to make: so a build takes twice as long at most as if it had been nice from the start.
"""

import contextlib
import os
from pathlib import Path

IDLE, NICE = "idle", "nice"
"""How a command line says whether a builder yields."""

PATIENCE = 3.0
"""Seconds at least over which a builder must have had something of a core, or it starves."""

_LATELY = 10.0  # seconds after a search in which another one is expected
_LEAST = 0.05  # of one core: half of what niceness 10 gives beside one busy thread on the same core


def step_back(niceness: int, *, yields: bool) -> None:
    """Let others have the cores first; for this thread, and for those that it starts from now on."""
    os.nice(niceness)
    if yields:
        with contextlib.suppress(OSError):  # where a sandbox forbids it, being nice has to do
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def watched(quiet: float) -> bool:
    """Tell whether another search is expected, so many seconds after the last one."""
    return quiet < _LATELY


def threads(cores: int, quiet: float) -> int:
    """Return how many threads a builder has: one for each core, or one fewer where searches come.

    However far it steps back, a thread that computes beside a search takes what no scheduler divides: caches,
    the way to memory, and where cores are halves of one, the core itself.

    Args:
        cores: that the process may use.
        quiet: seconds since the last search.
    """
    return max(1, cores - 1) if watched(quiet) else cores


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has had, 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def patience(had: float) -> float:
    """Return for how many seconds a builder is waited for that has had this CPU time."""
    return max(PATIENCE, had)


def starves(wall: float, cpu: float) -> bool:
    """Tell whether a builder that had `cpu` seconds of a core in the last `wall` seconds gets too little."""
    return cpu < _LEAST * wall
