"""Story: a program written for Pinecone makes its own index on the cluster, and deletes it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pinecone
import pytest
from cluster import commands, errors
from harness import handle, index, install, ways, workloads

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


@pytest.fixture(scope="module")
def callers(operator: handle.Handle, namespace: str, python_image: str) -> tuple[str, ...]:
    """Pods in a namespace of their own: one that is let in by name later, and one that is not."""
    nodes = operator.kubectl.get("nodes")["items"]
    names = ("maker", "stranger")
    for number, name in enumerate(names):
        where = nodes[number % len(nodes)]["metadata"]["name"]
        operator.kubectl.apply(workloads.build_client(namespace, name, python_image, where))
    for name in names:
        operator.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    return names


def serving(operator: handle.Handle) -> tuple[str, str]:
    """Name and address of the API's pod, once there is one alone."""
    labels = "app.kubernetes.io/component=control-plane"
    commands.wait_until(
        lambda: len(ways.pods(operator, install.NAMESPACE, labels)) == 1, "one pod of the API", 60
    )
    [found] = ways.pods(operator, install.NAMESPACE, labels)
    return found


def test_it_is_reached_by_its_public_port_alone(
    operator: handle.Handle, client: pinecone.Pinecone, namespace: str, callers: tuple[str, ...]
) -> None:
    """By everybody, where nobody is named; its metrics by nobody."""
    _, address = serving(operator)
    for name in callers:
        assert ways.connects(operator, namespace, name, address, ways.PUBLIC)
        assert not ways.connects(operator, namespace, name, address, ways.METRICS)


def test_it_goes_to_the_api_server_and_nowhere_else(
    operator: handle.Handle, client: pinecone.Pinecone, namespace: str, callers: tuple[str, ...]
) -> None:
    """Neither to the operator's metrics, nor to a pod of somebody else."""
    pod, _ = serving(operator)
    stranger = ways.listen(operator, namespace, "stranger", "maker")
    [(_, own)] = ways.pods(operator, install.NAMESPACE, "app.kubernetes.io/component=operator")
    assert ways.connects(operator, install.NAMESPACE, pod, "kubernetes.default.svc", 443)
    for way in ((stranger, ways.LISTENING), (own, ways.METRICS)):
        assert not ways.connects(operator, install.NAMESPACE, pod, *way)


def test_only_who_is_named_reaches_it(
    operator: handle.Handle, client: pinecone.Pinecone, namespace: str, callers: tuple[str, ...]
) -> None:
    """`controlPlane.clients` shuts everybody else out, and an empty one lets all in again."""
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": {"app": "maker"}},
    }
    upgrade(operator, "--set-json", f"controlPlane.clients={json.dumps([peer])}")
    _, address = serving(operator)
    commands.wait_until(
        lambda: not ways.connects(operator, namespace, "stranger", address, ways.PUBLIC), "the policy", 20
    )
    assert ways.connects(operator, namespace, "maker", address, ways.PUBLIC)
    upgrade(operator, "--set-json", "controlPlane.clients=[]")
    commands.wait_until(
        lambda: ways.connects(operator, namespace, "stranger", address, ways.PUBLIC), "the door to open", 20
    )
