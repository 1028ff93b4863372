"""The one cluster of this machine: who may change it now, and how it was made.

Whatever checkout and environment a later command comes from, it finds the cluster here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from . import errors, progress, settings

RECORD = Path("/run/vectorfleet-e2e")
MARK = ".vectorfleet-e2e"


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Hold the machine's cluster; refuse at once if another command holds it."""
    RECORD.mkdir(mode=0o700, exist_ok=True)
    with (RECORD / "lock").open("w") as file:
        if not _held(file):
            raise errors.ClusterError("another command is changing the cluster of this machine; wait for it")
        yield


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Hold the machine's cluster for a whole run of tests; wait for the run that holds it now."""
    with _session_file() as file:
        if not _held(file):
            progress.say("other tests run on this machine's cluster; waiting for their end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def between_sessions() -> Iterator[None]:
    """Hold the cluster for a moment; refuse if tests run on it."""
    with _session_file() as file:
        if not _held(file):
            raise errors.ClusterError("tests run on the cluster of this machine; wait for their end")
        yield


def _session_file() -> TextIO:
    RECORD.mkdir(mode=0o700, exist_ok=True)
    return (RECORD / "session").open("w")


def _held(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def claim(where: settings.Settings) -> None:
    """Make the cluster's folder, which must be new, empty or ours, and remember the cluster."""
    where.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(where.directory.iterdir()) and not (where.directory / MARK).exists():
        raise errors.ClusterError(
            f"{where.directory} holds other things; CLUSTER_DIR must be a new or empty folder"
        )
    (where.directory / MARK).touch()
    (RECORD / "cluster.json").write_text(json.dumps(dataclasses.asdict(where), default=str))


def claimed() -> settings.Settings | None:
    """The cluster that was brought up last and not taken down."""
    try:
        saved = json.loads((RECORD / "cluster.json").read_text())
    except FileNotFoundError:
        return None
    return settings.Settings(
        **{**saved, "directory": Path(saved["directory"]), "cache": Path(saved["cache"])}
    )


def release() -> None:
    """Forget the cluster."""
    (RECORD / "cluster.json").unlink(missing_ok=True)
