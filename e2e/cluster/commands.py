"""Run a program and wait for it.

Rule: a program that fails is an error that carries its output; nothing is run through a shell.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import errors

Argument = str | Path


def run(
    argv: Sequence[Argument],
    *,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = 120,
) -> str:
    """Run `argv`, with `env` added to this environment, and return what it printed on standard output."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            timeout=timeout,
            text=True,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as problem:
        raise errors.ToolMissingError(f"{words[0]} is missing; `cluster packages` installs it") from problem
    except subprocess.TimeoutExpired as problem:
        raise errors.TimedOutError(f"`{' '.join(words)}` did not end within {timeout} s") from problem
    if done.returncode != 0:
        output = (done.stderr.strip() or done.stdout.strip())[-4000:]
        raise errors.CommandFailedError(f"`{' '.join(words)}` ended with status {done.returncode}:\n{output}")
    return done.stdout


def succeeds(argv: Sequence[Argument], timeout: float = 30) -> bool:
    """Whether `argv` ends with status 0."""
    try:
        run(argv, timeout=timeout)
    except errors.ClusterError:
        return False
    return True


def wait_until(true: Callable[[], bool], what: str, seconds: float, pause: float = 0.1) -> None:
    """Ask `true` again and again until it says yes, or fail after `seconds` with `what` in the message."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise errors.TimedOutError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(pause)
