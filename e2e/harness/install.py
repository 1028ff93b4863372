"""Installs the operator's chart as the README tells a user to, with this checkout's images."""

from __future__ import annotations

from pathlib import Path

from . import handle

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "vectorfleet"
RELEASE, NAMESPACE = "vectorfleet", "vectorfleet-system"


def install(cluster: handle.Handle, images: dict[str, str], *words: str) -> None:
    """`helm install`, and wait until the operator is ready."""
    values = []
    for key, name in (("image", "operator"), ("dataPlaneImage", "data-plane")):
        repository, _, tag = images[name].rpartition(":")
        values += ["--set", f"{key}.repository={repository}", "--set", f"{key}.tag={tag}"]
    cluster.helm(
        "install", RELEASE, CHART, "--namespace", NAMESPACE, "--create-namespace", "--wait", *values, *words
    )


def uninstall(cluster: handle.Handle) -> None:
    """`helm uninstall`; the CRDs stay, as the chart says."""
    cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--ignore-not-found")
