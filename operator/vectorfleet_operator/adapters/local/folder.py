"""The state directory: where objects, volumes, logs and processes are written down.

It is its owner's alone (mode 700): Secrets lie in it.
"""

import dataclasses
import json
import logging
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ... import errors

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Folder:
    """The places below one state directory."""

    root: pathlib.Path

    def create(self) -> None:
        """Make the directory, and make it private."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        self.inbox.mkdir(exist_ok=True)

    @property
    def objects(self) -> pathlib.Path:
        """Objects: <kind>/<namespace>/<name>.json."""
        return self.root / "objects"

    @property
    def inbox(self) -> pathlib.Path:
        """Requests to the supervisor: manifests to apply, objects to delete."""
        return self.root / "inbox"

    @property
    def lock(self) -> pathlib.Path:
        """Locked by the one supervisor, while it lives."""
        return self.root / "lock"

    @property
    def supervisor_log(self) -> pathlib.Path:
        """The supervisor's log."""
        return self.root / "supervisor.log"

    @property
    def hosts(self) -> pathlib.Path:
        """Names of pods and Services, in the form of /etc/hosts."""
        return self.root / "hosts"

    @property
    def network(self) -> pathlib.Path:
        """Which loopback addresses are given to whom."""
        return self.root / "network.json"

    @property
    def control_keys(self) -> pathlib.Path:
        """The keys of the control plane's API, one file each; there while it is on."""
        return self.root / "control-plane"

    def pod(self, namespace: str, name: str) -> pathlib.Path:
        """What one pod has besides its claims; gone with the pod."""
        return self.root / "pods" / namespace / name

    def log(self, namespace: str, name: str) -> pathlib.Path:
        """A pod's log."""
        return self.root / "logs" / namespace / f"{name}.log"

    @property
    def claims(self) -> pathlib.Path:
        """Volumes: <namespace>/<claim>."""
        return self.root / "volumes"

    def claim(self, namespace: str, name: str) -> pathlib.Path:
        """One claim's volume."""
        return self.claims / namespace / name

    def pods(self) -> tuple[pathlib.Path, ...]:
        """Return the folder of each pod there is."""
        return tuple(sorted(self.root.glob("pods/*/*")))


def write_json(path: pathlib.Path, value: Mapping[str, Any]) -> None:
    """Write a file whole or not at all, on the disk when it returns, readable by its owner alone."""
    write(path, json.dumps(value, indent=1).encode())


def write(path: pathlib.Path, content: bytes) -> None:
    """Write bytes whole or not at all, on the disk when it returns, readable by their owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    partial.replace(path)


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """Return a file's object, None where there is no file.

    Raises:
        errors.Rejected: what is there is no JSON object; files are written whole, so somebody damaged it.
    """
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise errors.Rejected(
            f"{path} can't be read: {error}; put back what it held, or remove it"
        ) from error
    if not isinstance(value, dict):
        raise errors.Rejected(f"{path} holds no JSON object; put back what it held, or remove it")
    return value


def recollect(path: pathlib.Path) -> dict[str, Any]:
    """Return what a note of the supervisor's says, nothing where it is lost: it can be made anew."""
    try:
        return read_json(path) or {}
    except errors.Rejected as error:
        _LOG.warning("a note can't be read", extra={"reason": str(error)})
        return {}
