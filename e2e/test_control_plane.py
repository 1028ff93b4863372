"""Story: a program written for Pinecone makes its own index on the cluster, and deletes it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pinecone
import pytest
from cluster import errors
from harness import handle, index, install

KEY, SECRET = "key-of-the-story", "story-keys"
API = f"{install.RELEASE}-control-plane"
SMALL = {
    "storage": {"size": "1Gi"},
    "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
    "gateway": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}},
}


def upgrade(cluster: handle.Handle, *words: str) -> None:
    """`helm upgrade` with what was set before."""
    place = ["--namespace", install.NAMESPACE, "--reuse-values", "--wait"]
    cluster.helm("upgrade", install.RELEASE, install.CHART, *place, *words)


@pytest.fixture(scope="module")
def client(operator: handle.Handle) -> Iterator[pinecone.Pinecone]:
    """The official client, with the one key that it has, on the control plane's API."""
    own = ["-n", install.NAMESPACE]
    operator.kubectl(*own, "create", "secret", "generic", SECRET, f"--from-literal=admin={KEY}")
    values = [f"controlPlane.{name}" for name in ("enabled=true", f"apiKeysSecret={SECRET}", "maxIndexes=2")]
    template = json.dumps(SMALL)
    words = [word for value in values for word in ("--set", value)]
    upgrade(operator, *words, "--set-json", f"controlPlane.indexTemplate={template}")
    address = operator.kubectl.get(*own, "service", API)["spec"]["clusterIP"]
    yield pinecone.Pinecone(api_key=KEY, host=f"http://{address}")
    operator.kubectl(*own, "delete", "vectorindexes", "--all", "--timeout=60s")
    upgrade(operator, "--set", "controlPlane.enabled=false")
    operator.kubectl(*own, "delete", "secret", SECRET)


def test_an_index_lives_by_pinecones_calls(operator: handle.Handle, client: pinecone.Pinecone) -> None:
    """Made, ready, filled and asked by one key, and gone with its volumes."""
    spec = pinecone.ServerlessSpec("aws", "us-east-1")
    made = client.create_index("films", dimension=3, metric="cosine", spec=spec, timeout=180)
    assert (made.status.ready, made.host) == (True, f"http://films.{install.NAMESPACE}.svc")

    films = index.Index(operator, install.NAMESPACE, "films")
    reached = client.Index(host=films.host)  # this machine does not ask the cluster's DNS
    reached.upsert([("a", [1.0, 0.0, 0.0]), ("b", [0.0, 1.0, 0.0])])
    assert reached.query(vector=[0.0, 1.0, 0.0], top_k=1).matches[0].id == "b"

    client.configure_index("films", deletion_protection="enabled", tags={"team": "search"})
    with pytest.raises(pinecone.exceptions.ForbiddenException, match="deletion protection"):
        client.delete_index("films")
    client.configure_index("films", deletion_protection="disabled")
    client.delete_index("films", timeout=60)
    assert not client.has_index("films")
    index.wait_until(lambda: not films.owned("pvc,pod"), 60)


def test_it_may_do_nothing_else(operator: handle.Handle, client: pinecone.Pinecone) -> None:
    """Its account reads no Secret and no pod, and no index of another namespace."""
    assert client.list_indexes().names() == []
    account = f"--as=system:serviceaccount:{install.NAMESPACE}:{API}"
    for verb, kind, namespace in (
        ("get", "secrets", install.NAMESPACE),
        ("list", "pods", install.NAMESPACE),
        ("create", "vectorindexes", "default"),
        ("patch", "vectorindexes/status", install.NAMESPACE),
    ):
        with pytest.raises(errors.CommandFailedError, match="no"):
            operator.kubectl("auth", "can-i", verb, kind, "-n", namespace, account)
