"""Lines that say what happens and how long it took, on standard error.

Rule: each line is whole when it is printed, so that the lines of parallel work do not mix.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

_started = time.monotonic()


def say(text: str) -> None:
    """Print `text` behind the seconds since this program began."""
    sys.stderr.write(f"[{time.monotonic() - _started:6.1f} s] {text}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Say that `name` is done, with its time, unless it fails."""
    began = time.monotonic()
    yield
    say(f"{name}: {time.monotonic() - began:.1f} s")
