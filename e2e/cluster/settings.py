"""What the environment may say about the test cluster, and where its files lie.

Rule: paths under `directory` stay short, since a unix socket's path ends at 107 bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import errors

DEFAULT_DIRECTORY = "/var/tmp/vectorfleet-e2e"
MAX_NODES = 9
MAX_DIRECTORY_LENGTH = 60


@dataclass(frozen=True)
class Settings:
    """One cluster's size, times and places."""

    nodes: int
    grace_seconds: int
    toleration_seconds: int
    directory: Path
    cache: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "admin.kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.directory / "pki"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.directory / "log"

    def node_directory(self, number: int) -> Path:
        """Where node `number` keeps its containers, volumes and configuration."""
        return self.directory / f"kn{number}"


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read NODES, GRACE, TOLERATION, CLUSTER_DIR and CACHE; times are whole seconds, `8` or `8s`."""
    directory = Path(environ.get("CLUSTER_DIR") or DEFAULT_DIRECTORY)
    if not directory.is_absolute() or len(str(directory)) > MAX_DIRECTORY_LENGTH:
        raise errors.ClusterError(
            f"CLUSTER_DIR is {str(directory)!r}; it must be an absolute path of at most "
            f"{MAX_DIRECTORY_LENGTH} characters, because unix sockets lie under it"
        )
    return Settings(
        nodes=_whole(environ, "NODES", "3", MAX_NODES),
        grace_seconds=_whole(environ, "GRACE", "8s", 3600),
        toleration_seconds=_whole(environ, "TOLERATION", "10s", 3600),
        directory=directory,
        cache=_cache(environ),
    )


def _cache(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("CACHE")
    if chosen:
        return Path(chosen).absolute()
    home = environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(home) / "vectorfleet" / "e2e"


def _whole(environ: Mapping[str, str], name: str, default: str, greatest: int) -> int:
    text = environ.get(name) or default
    digits = text.removesuffix("s")
    if not digits.isdigit() or not 1 <= int(digits) <= greatest:
        raise errors.ClusterError(f"{name} is {text!r}; it must be a whole number from 1 to {greatest}")
    return int(digits)
