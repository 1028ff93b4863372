"""Story: the operator dies, or is away for long; the data plane serves on and nothing is touched."""

from __future__ import annotations

from typing import Any

import pytest
from harness import index, install, stopwatch

KINDS = "statefulset,deployment,service,configmap,secret,serviceaccount,pdb,pod,vectorshard"


def test_deleted_operator_pod_changes_nothing(small: index.Index, timed: stopwatch.Stopwatch) -> None:
    """After its pod is deleted and back, every object is the one it was, of the same generation."""
    stored, before = index.load(small), footprint(small)
    with timed("operator pod deleted → ready again"):
        system(small, "delete", "pod", "-l", "app.kubernetes.io/name=vectorfleet", "--now")
        system(small, "rollout", "status", "deployment", "--timeout=90s")
        small.wait_until_ready()

    assert footprint(small) == before
    index.expect_rows(small, stored)


def test_data_plane_serves_without_operator(small: index.Index, absent: None) -> None:
    """With no operator at all, writes and reads go on, and a killed shard comes back."""
    stored = index.load(small)
    small.kubectl("delete", "pod", "small-g1-s0-0", "--now")
    small.kubectl("wait", "--for=condition=Ready", "pod/small-g1-s0-0", "--timeout=90s")

    index.expect_rows(small, stored)


@pytest.fixture
def absent(small: index.Index):
    """No operator runs while a test does."""
    system(small, "scale", "deployment", "--all", "--replicas=0")
    index.wait_until(lambda: not small.cluster.kubectl.get("-n", install.NAMESPACE, "pods")["items"])
    yield
    system(small, "scale", "deployment", "--all", "--replicas=1")
    system(small, "rollout", "status", "deployment", "--timeout=90s")


def footprint(small: index.Index) -> dict[str, tuple[Any, Any]]:
    """Uid and generation of everything that the index owns."""
    return {
        f"{one['kind']}/{one['metadata']['name']}": (
            one["metadata"]["uid"],
            one["metadata"].get("generation"),
        )
        for one in small.owned(KINDS)
    }


def system(small: index.Index, *words: str) -> None:
    """Run kubectl in the operator's namespace."""
    small.cluster.kubectl("-n", install.NAMESPACE, *words)
