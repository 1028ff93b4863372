"""The adapter on a real API server; where that was never built (`make e2e` does), its tests are skipped."""

import pytest
from apiserver import passes, serving
from kubernetes.aio import client

from vectorfleet_operator.adapters import kubernetes


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An API server that knows our definitions."""
    if serving.find_programs() is None:
        pytest.skip("kube-apiserver and etcd are not there: `make e2e` builds and installs them")
    with serving.serving(tmp_path_factory.mktemp("apiserver")) as running:
        yield running


@pytest.fixture(scope="module")
def address(served):
    """Its address."""
    return served.url


@pytest.fixture
async def server(address):
    """The adapter, connected to the API server; what a test made is deleted after it."""
    configuration = client.Configuration(host=address, api_key={"BearerToken": f"Bearer {serving.TOKEN}"})
    configuration.verify_ssl = False
    cluster = kubernetes.KubernetesCluster(client.ApiClient(configuration))
    yield cluster
    for kind in passes.SERVED:
        for left in await cluster.list(kind, "default", {}):
            if left["metadata"]["name"] != "kubernetes":
                await cluster.delete(left)
    await kubernetes.close(cluster)
