"""The cluster's programs as processes that outlive the command that started them.

Each has a pid file with the pid and its start time, so that a number which the system has given to
another process is never mistaken for ours. Rule: a name has at most one living process.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import commands, errors, settings

START_SECONDS = 10
STOP_SECONDS = 10
# The process writes its own pid and start time, so that there is no moment when it runs and is not known.
RECORD_AND_RUN = 'echo "$$ $(cut -d" " -f22 /proc/$$/stat)" >"$0" && exec "$@"'
LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class Process:
    """One run of a program: a pid alone may come to mean another."""

    pid: int
    started: int  # clock ticks since boot


def start(
    where: settings.Settings,
    name: str,
    argv: Sequence[commands.Argument],
    *,
    netns: str | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Start `name` in the background, in network namespace `netns`, unless it lives already."""
    if alive(where, name):
        return
    words = [str(word) for word in argv]
    if netns is not None:
        # Not `ip netns exec`: that hides /sys/fs/cgroup and the host's mounts from kubelet.
        words = ["nsenter", f"--net=/run/netns/{netns}", *words]
    where.logs.mkdir(parents=True, exist_ok=True)
    _pid_file(where, name).parent.mkdir(parents=True, exist_ok=True)
    pid_file = _pid_file(where, name)
    pid_file.unlink(missing_ok=True)
    with (where.logs / f"{name}.log").open("ab") as log:
        subprocess.Popen(
            ["sh", "-c", RECORD_AND_RUN, str(pid_file), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, **env} if env else None,
            start_new_session=True,
        )
    commands.wait_until(lambda: _read(pid_file) is not None, f"start of {name}", START_SECONDS, 0.005)


def stop(where: settings.Settings, name: str, first: signal.Signals = signal.SIGTERM) -> None:
    """End `name` with signal `first`, then by SIGKILL if it stays; nothing if it doesn't live."""
    process = _read(_pid_file(where, name))
    if process is not None:
        end(process, first)
    _pid_file(where, name).unlink(missing_ok=True)


def end(process: Process, first: signal.Signals) -> None:
    """End one process and wait until it is gone."""
    for number in (first, signal.SIGKILL):
        if not _lives(process):
            return
        try:
            os.kill(process.pid, number)
            commands.wait_until(
                lambda: not _lives(process), f"the end of process {process.pid}", STOP_SECONDS, 0.02
            )
        except ProcessLookupError:
            return
        except errors.TimedOutError:
            continue
        return


def alive(where: settings.Settings, name: str) -> bool:
    """Whether `name` runs."""
    process = _read(_pid_file(where, name))
    return process is not None and _lives(process)


def names(where: settings.Settings) -> list[str]:
    """Every program that has a pid file, the latest first."""
    files = (where.directory / "pid").glob("*")
    return [path.name for path in sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)]


def expect_alive(where: settings.Settings, name: str) -> None:
    """Fail with the end of its log if `name` has died."""
    if alive(where, name):
        return
    log = where.logs / f"{name}.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]) if log.exists() else ""
    raise errors.ProcessDiedError(f"{name} has ended; the last lines of {log}:\n{tail}")


def identify(pid: int) -> Process | None:
    """The process that has this pid now."""
    started = _start_time(pid)
    return None if started is None else Process(pid, started)


def _pid_file(where: settings.Settings, name: str) -> Path:
    return where.directory / "pid" / name


def _read(path: Path) -> Process | None:
    try:
        pid, started = path.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return Process(int(pid), int(started))


def _lives(process: Process) -> bool:
    return _start_time(process.pid) == process.started


def _start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None when there is no such process or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
