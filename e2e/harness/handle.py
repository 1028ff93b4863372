"""What a test holds of the cluster: its kubectl, its helm, and the switches of its nodes.

Rule: everything goes to the cluster that these tests brought up. A kubeconfig of any other is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cluster import addresses, commands, errors, kubectl, settings, toolchain


class ForeignClusterError(errors.ClusterError):
    """A kubeconfig that leads somewhere else than to the cluster of these tests."""


@dataclass(frozen=True)
class Handle:
    """The cluster that the tests run on."""

    where: settings.Settings
    programs: toolchain.Toolchain

    @property
    def kubectl(self) -> kubectl.Kubectl:
        """Kubectl on this cluster."""
        expect_own(self.where.kubeconfig)
        return kubectl.Kubectl(self.where, self.programs)

    def helm(self, *words: commands.Argument, timeout: float = 300) -> str:
        """Run helm on this cluster."""
        expect_own(self.where.kubeconfig)
        places = {name: str(self.where.directory / "helm" / name) for name in HELM_FOLDERS}
        argv = [self.programs["helm"], "--kubeconfig", self.where.kubeconfig, *words]
        return commands.run(argv, env={**places, "KUBECONFIG": ""}, timeout=timeout)

    def switch(self, word: str, *numbers: int) -> None:
        """`node-kill`, `node-start`, `node-cut` or `node-heal` one node, `api-stop`, `api-start`."""
        commands.run([COMMAND, word, *map(str, numbers)])


COMMAND = Path(__file__).parents[1] / "cluster" / "cluster"
# What helm would otherwise keep in the home of whoever runs the tests.
HELM_FOLDERS = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")


def expect_own(kubeconfig: Path) -> None:
    """Refuse a kubeconfig whose clusters are not, each of them, the one on this machine's bridge."""
    found = json.loads(kubeconfig.read_text())
    servers = [entry["cluster"].get("server") for entry in found["clusters"]]
    if servers != [addresses.API_SERVER]:
        raise ForeignClusterError(
            f"{kubeconfig} leads to {servers}; these tests delete what they find and run on "
            f"{addresses.API_SERVER} alone"
        )
