"""Starting servers on loopback and waiting for them."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(
    command: Sequence[str], log: pathlib.Path, env: Mapping[str, str] | None = None, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own, output into a file; its whole session is ended afterwards."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            **options,  # type: ignore[call-overload]
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(
    what: Callable[[], bool], process: subprocess.Popen[bytes], log: pathlib.Path, seconds: float = 120
) -> None:
    """Wait until something is so.

    Raises:
        RuntimeError: the process ended by itself, or it took too long; its log's end is in the message.
    """
    deadline = time.monotonic() + seconds
    while not _is_so(what):
        if process.poll() is not None or time.monotonic() > deadline:
            end = log.read_text(errors="replace")[-1500:]
            raise RuntimeError(f"{process.args!r} is not up ({process.poll()}): {end}")
        time.sleep(0.05)


def _is_so(what: Callable[[], bool]) -> bool:
    try:
        return what()
    except (OSError, ValueError, KeyError):
        return False


def settled(is_so: Callable[[], bool], quiet: float = 1.0, most: float = 400) -> float:
    """Wait until something is so and stays so for some seconds; return since when, by `time.perf_counter`.

    Raises:
        TimeoutError: it took longer than `most` seconds.
    """
    since = end = time.perf_counter()
    while time.perf_counter() - since < quiet:
        if not is_so():
            since = time.perf_counter()
        if time.perf_counter() - end > most:
            raise TimeoutError(f"not settled after {most:g} s")
        time.sleep(0.05)
    return since
