"""Processes: started apart from the supervisor, written down, found again, and ended.

A process is known by its pid and the moment of its start, so that one of the same pid is never taken for it.
Processes outlive the supervisor: the data plane serves on while the operator is away.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Mapping

from ... import errors
from . import folder

_INHERITED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_INHERITED_PREFIXES = ("LC_", "OMP_", "OPENBLAS_", "MKL_", "SSL_CERT_")
_PROC = pathlib.Path("/proc")
_MARK = "VECTORFLEET_LOCAL_POD"
"""The variable by which a process is found whose supervisor died before it wrote it down."""
RECORD = "process.json"
"""The file in a pod's folder that tells of its process."""


@dataclasses.dataclass(frozen=True)
class Running:
    """A process that was started: its pid and when, in clock ticks since boot."""

    pid: int
    start: int

    def is_alive(self) -> bool:
        """Return whether that very process still runs."""
        return start_of(self.pid) == self.start

    def end(self, *, at_once: bool) -> None:
        """Ask the process to end, or end it; one that is gone is let be."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):  # gone since
                os.kill(self.pid, signal.SIGKILL if at_once else signal.SIGTERM)


@dataclasses.dataclass(frozen=True)
class Order:
    """What to start, and for which pod."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(repr=False)
    log: pathlib.Path
    pod: pathlib.Path
    """The pod's folder."""


class Children:
    """The processes that this supervisor started; those of one before it are known by their files alone."""

    def __init__(self) -> None:
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, order: Order) -> Running:
        """Start a process in a session of its own and write it down in its pod's folder.

        Raises:
            errors.Transient: it can't be started.
        """
        order.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**inherited(os.environ), **order.environment, _MARK: str(order.pod)}
        try:
            with order.log.open("ab") as output:
                started = subprocess.Popen(
                    [_program(order.command[0]), *order.command[1:]],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    cwd="/",
                )
        except OSError as error:
            raise errors.Transient(f"can't start {order.command[0]}: {error}") from error
        running = Running(started.pid, start_of(started.pid) or 0)
        try:
            folder.write_json(order.pod / RECORD, dataclasses.asdict(running))
        except OSError as error:  # what is not written down would be started twice
            started.kill()
            started.wait()
            raise errors.Transient(f"can't write down {order.command[0]}: {error}") from error
        self._started[started.pid] = started
        return running

    def exit_of(self, running: Running) -> int | None:
        """Return the status with which a process ended, minus the signal's number where one ended it.

        None where that is not known: it was another supervisor's child.
        """
        started = self._started.get(running.pid)
        if started is None or started.poll() is None:
            return None
        del self._started[running.pid]
        return started.returncode


def recall(pod: pathlib.Path) -> Running | None:
    """Return the process that a pod's folder tells of, None where it does not live any more."""
    saved = folder.recollect(pod / RECORD)
    running = Running(int(saved.get("pid", 0)), int(saved.get("start", 0)))
    return running if running.is_alive() else None


def find(root: pathlib.Path) -> dict[pathlib.Path, Running]:
    """Return every process that was started for a pod below `root`, by the pod's folder."""
    found = {}
    for place in _PROC.glob("[0-9]*"):
        pod, start = _pod_of(place), start_of(int(place.name))
        if pod is not None and start is not None and pod.is_relative_to(root):
            found[pod] = Running(int(place.name), start)
    return found


def start_of(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since boot; None where there is none, or a zombie.

    One whose first thread has ended before the others is a zombie by its state only: it still holds its
    ports and files, and nobody can be told its status yet.
    """
    fields = _stat(_PROC / str(pid))
    if not fields or (fields[0] in "ZX" and int(fields[17]) <= 1):
        return None
    return int(fields[19])


def memory_of(pid: int) -> int:
    """Return the resident memory of a process, in bytes; 0 where it is gone."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGESIZE")


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a process may see of its supervisor's environment: no credentials, no settings. PURE."""
    return {
        name: value
        for name, value in environment.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }


def _pod_of(place: pathlib.Path) -> pathlib.Path | None:
    """Return the folder of the pod that a process was started for, None where it was for none."""
    fields = _stat(place)
    if len(fields) < 4 or fields[3] != place.name:  # its children inherit the mark, but lead no session
        return None
    try:
        variables = (place / "environ").read_bytes().split(b"\0")
    except OSError:  # ended, or another user's
        return None
    mark = f"{_MARK}=".encode()
    return next(
        (pathlib.Path(os.fsdecode(one[len(mark) :])) for one in variables if one.startswith(mark)), None
    )


def _stat(place: pathlib.Path) -> list[str]:
    """Return a process's fields from its state on: the name before them may hold blanks and brackets."""
    try:
        return (place / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _program(name: str) -> str:
    beside = pathlib.Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name
