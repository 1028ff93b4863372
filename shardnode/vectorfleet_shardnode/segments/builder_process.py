"""The processes that build: each has one job at a time, and stays a while for the next one.

To load what computes takes half a second of a core, as long as a graph of a thousand rows. While rows pour in
one build follows the other, so a process that has done its job waits for another some seconds. It is ended
with the thread that started it, where memory is short, and by whoever wants its job no more.
"""

import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from . import builder, yielding

KEPT_SECONDS = 10.0
DONE = b"done\n"
"""What a process says on standard output once a job is done; one that fails says why on standard error."""

_REMARKS = 64 << 10  # bytes that a pipe holds

Standing = tuple[int, int, bool]
"""Whose child a process is, its niceness, and whether it yields: for as long as it lives."""


class _Process:
    """A process that waits for a job, or has one."""

    def __init__(self, standing: Standing) -> None:
        parent, niceness, yields = self.standing = standing
        self.thread = threading.get_ident()
        command = [sys.executable, "-m", f"{__package__}.background"]
        command += [str(parent), str(niceness), yielding.IDLE if yields else yielding.NICE]
        # Threads that wait must not spin: serving threads want the cores.
        environment = os.environ | {
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        self.program = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    def serves(self, standing: Standing) -> bool:
        """Tell whether it lives, and as long as the thread that asks."""
        mine = self.thread == threading.get_ident() and self.standing == standing
        return mine and self.program.poll() is None

    def tell(self, path: Path) -> None:
        """Give it a job; nothing happens where it is gone, which is noticed by who waits for it."""
        assert self.program.stdin is not None
        try:
            self.program.stdin.write(f"{path}\n".encode())
        except BrokenPipeError:
            return

    def has_said(self) -> bool:
        """Tell whether it has said something, or ended."""
        return _readable(self.program.stdout)

    def word(self) -> bytes:
        """Return what it says next; nothing where it has ended. Blocks."""
        assert self.program.stdout is not None
        return self.program.stdout.read(len(DONE)) or b""

    def forget(self) -> None:
        """Read what it remarked, and drop it: a pipe that is full would hold it up."""
        assert self.program.stderr is not None
        if _readable(self.program.stderr):
            self.program.stderr.read(_REMARKS)

    def end(self) -> bytes:
        """Wait for its end, which is at hand; returns what it said of it."""
        return self.program.communicate()[1]


def _readable(pipe: IO[bytes] | None) -> bool:
    assert pipe is not None
    return bool(select.select([pipe], [], [], 0)[0])


class Started:
    """A job that a process has, see `builder.Process`."""

    def __init__(self, process: _Process, path: Path) -> None:
        self.returncode: int | None = None
        self._process, self._said, self._unwanted = process, b"", False
        self._before = yielding.cpu_seconds(process.program.pid)
        process.tell(path)

    def poll(self) -> int | None:
        """Return the exit status, None while it works."""
        if self.returncode is None and self._process.has_said():
            self._settle()
        return self.returncode

    def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the end; returns what it said on standard output and error."""
        if self.returncode is None:
            self._settle()
        return b"", self._said

    def kill(self) -> None:
        """End it."""
        self._unwanted = True
        if self.returncode is None:
            self._process.program.kill()

    def cpu_seconds(self) -> float:
        """Return the CPU time that the job has had."""
        return max(0.0, yielding.cpu_seconds(self._process.program.pid) - self._before)

    def _settle(self) -> None:
        if self._process.word() == DONE and not self._unwanted:
            self.returncode = 0
            self._process.forget()
            _SPARE.keep(self._process)
        else:
            self._said = self._process.end()
            self.returncode = self._process.program.returncode or 1


class _Spare:
    """The process that waits for a job, if any does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._timer: threading.Timer | None = None

    def keep(self, process: _Process) -> None:
        """Keep it for the next job, in place of another one."""
        self.let_go()
        timer = threading.Timer(KEPT_SECONDS, self._end_late, (process,))
        timer.daemon = True
        with self._lock:
            self._process, self._timer = process, timer
        timer.start()

    def take(self) -> _Process | None:
        """Return it, to be used or ended."""
        with self._lock:
            process, self._process = self._process, None
            timer, self._timer = self._timer, None
        if timer:
            timer.cancel()
        return process

    def let_go(self) -> bool:
        """End it; tells whether there was one."""
        if process := self.take():
            process.end()
        return process is not None

    def _end_late(self, process: _Process) -> None:
        with self._lock:
            if self._process is not process:
                return
            self._process = self._timer = None
        process.end()


_SPARE = _Spare()


def start(job: builder.Job, path: Path) -> Started:
    """Have a process do a job, which is written to `path`; why it fails comes on standard error."""
    path.write_text(job.model_dump_json())
    standing, spare = (job.parent, job.niceness, job.yields), _SPARE.take()
    if spare and not spare.serves(standing):
        spare.end()
        spare = None
    return Started(spare or _Process(standing), path)


def let_go() -> bool:
    """End the process that waits for a job, for the memory that it has; tells whether there was one."""
    return _SPARE.let_go()
