"""Processes: started apart from the supervisor, written down, found again, and ended.

A process is known by its pid and the moment of its start, so that one of the same pid is never taken for it.
Processes outlive the supervisor: the data plane serves on while the operator is away.
"""

import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping

from ... import errors
from . import folder

_INHERITED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_INHERITED_PREFIXES = ("LC_", "OMP_", "OPENBLAS_", "MKL_", "SSL_CERT_")
_LOG_BYTES = 10 * 1024 * 1024
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

    def signal(self, number: int) -> None:
        """Send the process a signal; one that is gone gets none."""
        if self.is_alive():
            os.kill(self.pid, number)


class Children:
    """The processes that this supervisor started; those of one before it are known by their files alone."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        log: pathlib.Path,
        record: pathlib.Path,
    ) -> Running:
        """Start a process in a session of its own and write it down in `record`.

        Raises:
            errors.Transient: it can't be started.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        record.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("ab") as output:
                started = subprocess.Popen(
                    [_program(command[0]), *command[1:]],
                    env={**inherited(os.environ), **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    cwd="/",
                )
        except OSError as error:
            raise errors.Transient(f"can't start {command[0]}: {error}") from error
        self._started.append(started)
        running = Running(started.pid, start_of(started.pid) or 0)
        folder.write_json(record, dataclasses.asdict(running))
        return running

    def reap(self) -> None:
        """Take note of children that ended, so that they do not stay as zombies."""
        self._started = [child for child in self._started if child.poll() is None]


def recall(record: pathlib.Path) -> Running | None:
    """Return the process that a file tells of, None where it does not live any more."""
    saved = folder.read_json(record)
    if saved is None:
        return None
    running = Running(saved["pid"], saved["start"])
    return running if running.is_alive() else None


def start_of(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since boot; None where there is none, or a zombie."""
    try:
        # The name, in brackets, may hold blanks and brackets itself.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def memory_of(pid: int) -> int:
    """Return the resident memory of a process and of those it started, in bytes; 0 where it is gone."""
    pages = 0
    for member in (pid, *_children_of(pid)):
        try:
            pages += int(pathlib.Path(f"/proc/{member}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGESIZE")


def end(running: Running, *, at_once: bool) -> None:
    """Ask a process to end, or end it."""
    running.signal(signal.SIGKILL if at_once else signal.SIGTERM)


def cap_log(path: pathlib.Path) -> None:
    """Move a log that has grown beyond 10 MiB aside, over the one before it; its writer appends on."""
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        shutil.copyfile(path, path.with_suffix(".log.1"))
        os.truncate(path, 0)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a process may see of its supervisor's environment: no credentials, no settings. PURE."""
    return {
        name: value
        for name, value in environment.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }


def _children_of(pid: int) -> tuple[int, ...]:
    try:
        listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return ()
    direct = tuple(int(one) for one in listed)
    return (*direct, *(below for child in direct for below in _children_of(child)))


def _program(name: str) -> str:
    beside = pathlib.Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name
