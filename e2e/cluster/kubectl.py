"""kubectl against this cluster and no other.

Rule: the kubeconfig is always named, and the environment's is never looked at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import commands, errors, settings, toolchain


class Kubectl:
    """Runs the kubectl that was built with the cluster, as its administrator."""

    def __init__(self, where: settings.Settings, programs: toolchain.Toolchain) -> None:
        self._prefix: list[commands.Argument] = [programs["kubectl"], "--kubeconfig", where.kubeconfig]

    def __call__(self, *words: commands.Argument, stdin: str | None = None, timeout: float = 120) -> str:
        return commands.run([*self._prefix, *words], stdin=stdin, timeout=timeout, env={"KUBECONFIG": ""})

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Apply manifests given as values."""
        listing = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self("apply", "-f", "-", stdin=json.dumps(listing))

    def apply_file(self, path: Path) -> None:
        """Apply a file's manifests."""
        self("apply", "-f", path)

    def get(self, *words: str) -> dict[str, Any]:
        """`kubectl get … -o json`, read."""
        found: dict[str, Any] = json.loads(self("get", *words, "-o", "json"))
        return found

    def answers(self, *words: str) -> bool:
        """Whether the command succeeds."""
        try:
            self(*words, timeout=10)
        except errors.ClusterError:
            return False
        return True
