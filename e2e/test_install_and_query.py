"""Story: install the chart, apply the example, load it, ask it with the official client by its Service."""

from __future__ import annotations

import re

import numpy as np
import pytest
from harness import fashion, handle, index, install, stopwatch

import vectorfleet

ROWS = 4_000
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture(scope="module")
def example(operator: handle.Handle, namespace: str) -> index.Index:
    """The README's index, applied in a namespace that admits only pods of the restricted standard."""
    operator.kubectl("label", "namespace", namespace, RESTRICTED)
    operator.kubectl("-n", namespace, "apply", "-f", str(install.ROOT / "examples" / "fashion-mnist.yaml"))
    made = index.Index(operator, namespace, "fashion-mnist")
    made.wait_until_ready()
    return made


@pytest.fixture(scope="module")
def loaded(example: index.Index) -> np.ndarray:
    """Vectors of the set, written with the official client."""
    stored = fashion.vectors(ROWS)
    client = example.pinecone()
    for start in range(0, ROWS, 200):
        rows = [(str(n), stored[n].tolist(), {"even": n % 2 == 0}) for n in range(start, start + 200)]
        assert client.upsert(vectors=rows).upserted_count == 200
    return stored


def test_example_becomes_ready(operator: handle.Handle, namespace: str, timed: stopwatch.Stopwatch) -> None:
    """`kubectl apply` and `kubectl wait --for=condition=Ready` are all that it takes."""
    operator.kubectl("label", "namespace", namespace, RESTRICTED, "--overwrite")
    with timed("kubectl apply → Ready"):
        operator.kubectl(
            "-n", namespace, "apply", "-f", str(install.ROOT / "examples" / "fashion-mnist.yaml")
        )
        index.Index(operator, namespace, "fashion-mnist").wait_until_ready()


def test_official_client_finds_neighbours(
    example: index.Index, loaded: np.ndarray, timed: stopwatch.Stopwatch
) -> None:
    """The pinecone package, pointed at the Service, finds what exact search finds."""
    asked = fashion.queries(50)
    client = example.pinecone()
    with timed("50 queries with the pinecone client"):
        found = [client.query(vector=one.tolist(), top_k=10).matches for one in asked]

    distances = ((asked[:, None, :].astype(np.float64) - loaded[None, :, :]) ** 2).sum(axis=2)
    bound = np.partition(distances, 9, axis=1)[:, 9]
    hits = sum(
        distances[n, int(match.id)] <= bound[n] * (1 + 1e-6)
        for n, matches in enumerate(found)
        for match in matches
    )
    assert hits / 500 >= 0.95


def test_filter_and_values(example: index.Index, loaded: np.ndarray) -> None:
    """A filter keeps out what does not pass, and values come back as they were sent."""
    found = example.pinecone().query(
        vector=loaded[4].tolist(),
        top_k=20,
        filter={"even": {"$eq": True}},
        include_values=True,
        include_metadata=True,
    )

    assert {match.metadata["even"] for match in found.matches} == {True}
    assert found.matches[0].id == "4"
    assert np.array_equal(np.array(found.matches[0].values, dtype=np.float32), loaded[4])


def test_kubectl_get_shows_the_index(example: index.Index, loaded: np.ndarray) -> None:
    """`kubectl get vi` has the columns that people look for, and counts the vectors."""
    index.wait_until(lambda: example.get("vi", "fashion-mnist")["status"]["vectors"] == ROWS)
    heading, line = example.kubectl("get", "vi").splitlines()

    assert heading.split() == ["NAME", "SHARDS", "READY", "VECTORS", "MODEL", "AGE"]
    assert re.match(rf"fashion-mnist +2 +True +{ROWS} +raw-pixels +\d+", line)


def test_everything_that_was_promised_is_made(example: index.Index) -> None:
    """Workloads, volumes, Services, budgets, Secrets, accounts, configuration, a VectorShard a shard."""
    kinds = "statefulset,pvc,service,deployment,pdb,secret,serviceaccount,configmap,vectorshard"
    made = {f"{one['kind']}/{one['metadata']['name']}" for one in example.owned(kinds)}

    shards = {f"fashion-mnist-g1-s{number}" for number in (0, 1)}
    assert made >= {
        f"{kind}/{name}" for kind in ("StatefulSet", "PodDisruptionBudget", "VectorShard") for name in shards
    }
    assert made >= {f"PersistentVolumeClaim/data-{name}-0" for name in shards}
    assert made >= {
        "Service/fashion-mnist",
        "Service/fashion-mnist-shards",
        "Deployment/fashion-mnist-gateway",
        "PodDisruptionBudget/fashion-mnist-gateway",
        "Secret/fashion-mnist-api-key",
        "Secret/fashion-mnist-ca",
        "Secret/fashion-mnist-gateway-tls",
        "Secret/fashion-mnist-operator-tls",
        "Secret/fashion-mnist-shard-tls",
        "ServiceAccount/fashion-mnist-shard",
        "ServiceAccount/fashion-mnist-gateway",
        "ConfigMap/fashion-mnist-config",
    }


def test_pods_hold_no_token_and_no_rights(example: index.Index) -> None:
    """Pods of the data plane run as nobody, with a read-only root, and mount no ServiceAccount token."""
    for pod in example.owned("pod"):
        spec = pod["spec"]
        security = spec["containers"][0]["securityContext"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert not [one for one in spec["volumes"] if "projected" in one]


def test_wrong_key_is_refused(example: index.Index) -> None:
    """Without the key of the Secret nothing is answered."""
    with vectorfleet.Client(example.host, "wrong") as client, pytest.raises(vectorfleet.AuthenticationError):
        client.stats()


def test_helm_test_passes(operator: handle.Handle, example: index.Index) -> None:
    """The chart's own test pod finds the operator healthy."""
    assert "Succeeded" in operator.helm("test", install.RELEASE, "--namespace", install.NAMESPACE)
