"""One VectorIndex on the cluster, as a story's user has it: kubectl, its key, clients through its Service."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pinecone
from cluster import errors
from numpy.typing import NDArray

import vectorfleet

from . import handle

READY_SECONDS = 120


def build(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """A small VectorIndex: 2 shards, 16 dimensions, one gateway; `spec` adds to it or replaces. PURE."""
    usual = {
        "model": {"name": "random", "dimensions": 16},
        "metric": "euclidean",
        "shards": 2,
        "storage": {"size": "1Gi"},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "gateway": {"replicas": 1, "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}},
    }
    return {
        "apiVersion": "vectorfleet.io/v1alpha1",
        "kind": "VectorIndex",
        "metadata": {"name": name, "namespace": namespace},
        "spec": usual | spec,
    }


class Index:
    """An index in a namespace."""

    def __init__(self, cluster: handle.Handle, namespace: str, name: str) -> None:
        self.cluster, self.namespace, self.name = cluster, namespace, name

    def kubectl(self, *words: str, **how: Any) -> str:
        """Run kubectl in the index's namespace."""
        return self.cluster.kubectl("-n", self.namespace, *words, **how)

    def get(self, *words: str) -> dict[str, Any]:
        """`kubectl get … -o json`, read."""
        return self.cluster.kubectl.get("-n", self.namespace, *words)

    def owned(self, kinds: str) -> list[dict[str, Any]]:
        """The objects of some kinds that carry the index's label."""
        found: list[dict[str, Any]] = self.get(kinds, "-l", f"vectorfleet.io/index={self.name}")["items"]
        return found

    def wait_until_ready(self) -> None:
        """Return once the index is Ready and nothing is under way."""
        for condition in ("Reconciling=False", "Ready=True"):
            self.kubectl(
                "wait",
                f"--for=condition={condition}",
                f"vectorindex/{self.name}",
                f"--timeout={READY_SECONDS}s",
            )

    def wait_until_seen(self) -> None:
        """Return once the status answers the newest spec."""
        wait_until(
            lambda: (
                (found := self.get("vi", self.name))["metadata"]["generation"]
                == found.get("status", {}).get("observedGeneration")
            )
        )

    def condition(self, kind: str) -> dict[str, Any]:
        """A condition of the index."""
        found = self.get("vi", self.name).get("status", {}).get("conditions", [])
        return next((one for one in found if one["type"] == kind), {})

    @property
    def host(self) -> str:
        """The index's Service, at its cluster address."""
        return f"http://{self.get('service', self.name)['spec']['clusterIP']}"

    @property
    def key(self) -> str:
        """The generated API key, out of its Secret."""
        return base64.b64decode(self.get("secret", f"{self.name}-api-key")["data"]["api-key"]).decode()

    @contextlib.contextmanager
    def client(self) -> Iterator[vectorfleet.Client]:
        """Our SDK through the Service."""
        with vectorfleet.Client(self.host, self.key) as opened:
            yield opened

    def pinecone(self) -> Any:
        """The official client through the Service."""
        return pinecone.Pinecone(api_key=self.key).Index(host=self.host)


def vectors(count: int, dimensions: int = 16, seed: int = 7) -> NDArray[np.float32]:
    """Random vectors, always the same."""
    return np.random.default_rng(seed).random((count, dimensions), dtype=np.float32)


def load(index: Index, count: int = 500) -> NDArray[np.float32]:
    """Write rows "0", "1", … through the Service and return their vectors."""
    stored = vectors(count)
    with index.client() as client:
        result = client.upsert_batch((str(n), vector) for n, vector in enumerate(stored))
    assert result.failed == 0, result
    return stored


def expect_rows(index: Index, stored: NDArray[np.float32]) -> None:
    """Every row is there, bit for bit, and a query finds it."""
    with index.client() as client:
        assert client.stats().total_vector_count == len(stored)
        found = client.fetch([str(n) for n in range(len(stored))]).vectors
        for n, vector in enumerate(stored):
            assert np.array_equal(found[str(n)].values, vector), n
        assert client.query(stored[3], top_k=1).matches[0].id == "3"


def wait_until(reached: Callable[[], object], seconds: float = READY_SECONDS, every: float = 0.25) -> None:
    """Return once `reached` answers with something true; a command that fails meanwhile counts as no."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(errors.ClusterError):
            if reached():
                return
        assert time.monotonic() < end, f"not reached within {seconds:g} s"
        time.sleep(every)
