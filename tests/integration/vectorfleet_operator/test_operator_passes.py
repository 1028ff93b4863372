"""Passes over an index on a real API server: what it fills in, what strangers change, and kopf's watches."""

import asyncio
import json
import time
import urllib.error

import pytest
from apiserver import passes, serving

from vectorfleet_operator import attend, handlers, ports


async def test_a_second_pass_finds_nothing_to_do(server):
    """With all that a real server fills in, normalises and defaults, no object is written twice."""
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    before = await passes.versions(server)

    await passes.take_pass(server)

    assert len(before) > 15
    assert await passes.versions(server) == before


DRIFTS = [
    ("services/products", {"spec": {"ports": [{"name": "http", "port": 81, "targetPort": "http"}]}}),
    ("services/products", {"spec": {"ports": [{"name": "other", "port": 81}, {"name": "http", "port": 80}]}}),
    ("services/products", {"spec": {"selector": {"vectorfleet.io/index": "other"}}}),
    ("configmaps/products-config", {"data": {"index.json": "{}"}}),
    ("configmaps/products-config", {"metadata": {"ownerReferences": None}}),
]


@pytest.mark.parametrize(("path", "patch"), DRIFTS, ids=lambda value: json.dumps(value)[:60])
async def test_what_somebody_changes_is_changed_back(server, address, path, patch):
    """Also where a list was changed so that an apply alone would clash or keep the stranger's item."""
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    before = without_history(serving.call(address, f"/api/v1/namespaces/default/{path}"))
    serving.call(
        address, f"/api/v1/namespaces/default/{path}", "PATCH", patch, "application/merge-patch+json"
    )

    await passes.take_pass(server)
    settled = await passes.versions(server)
    await passes.take_pass(server)

    if "ownerReferences" not in json.dumps(patch):  # an object without an owner may be anybody's
        assert without_history(serving.call(address, f"/api/v1/namespaces/default/{path}")) == before
    assert await passes.versions(server) == settled


def without_history(manifest):
    """Return an object without what every write changes."""
    changing = {"resourceVersion", "managedFields", "generation"}
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in changing}
    return manifest | {"metadata": metadata}


async def test_a_stranger_in_a_pod_template_is_taken_out(server, address):
    """A container that somebody added to a StatefulSet by hand does not stay."""
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    path = "/apis/apps/v1/namespaces/default/statefulsets/products-g1-s0"
    serving.call(
        address,
        path,
        "PATCH",
        [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "x", "image": "y"}}],
        "application/json-patch+json",
    )

    await passes.take_pass(server)

    containers = serving.call(address, path)["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in containers] == ["shard"]


async def test_pods_fit_the_restricted_standard(server, address):
    """A namespace that enforces Kubernetes's strictest pod security standard takes our pods."""
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    enforced = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    namespace = "/api/v1/namespaces/default"
    serving.call(address, namespace, "PATCH", enforced, "application/merge-patch+json")

    for workload in ("statefulsets/products-g1-s0", "deployments/products-gateway"):
        template = serving.call(address, f"/apis/apps/v1/namespaces/default/{workload}")["spec"]["template"]
        template["spec"].pop("priorityClassName", None)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try"}, "spec": template["spec"]}
        pod["spec"]["volumes"].append({"name": "data", "emptyDir": {}})
        serving.call(address, f"{namespace}/pods?dryRun=All", "POST", pod)

    pod["spec"]["containers"][0]["securityContext"] = {}
    with pytest.raises(urllib.error.HTTPError, match="403"):
        serving.call(address, f"{namespace}/pods?dryRun=All", "POST", pod)


async def test_the_whole_operator(server, address, tmp_path, monkeypatch):
    """Kopf's watches and the daemon: made, repaired, and let go at once when it is deleted."""
    monkeypatch.setenv("KUBECONFIG", str(serving.write_kubeconfig(tmp_path, address)))
    ready, finish = asyncio.Event(), asyncio.Event()

    attendant = attend.build_attendant(passes.build_operator(server))
    running = asyncio.create_task(handlers.operate(attendant, (), ready, finish))
    try:
        await asyncio.wait_for(ready.wait(), 20)
        await server.apply(passes.INDEX)
        deployment = await eventually(lambda: server.get(ports.DEPLOYMENT, "default", "products-gateway"))
        await server.delete(deployment)
        again = await eventually(lambda: server.get(ports.DEPLOYMENT, "default", "products-gateway"))
        index = await server.get(ports.VECTOR_INDEX, "default", "products")
        assert index["metadata"]["finalizers"] == ["vectorfleet.io/operator"]
        assert "annotations" not in index["metadata"]

        await server.delete(index)
        await eventually(lambda: is_gone(server))
    finally:
        finish.set()
        await asyncio.wait_for(running, 20)

    assert again["metadata"]["uid"] != deployment["metadata"]["uid"]


async def is_gone(server):
    """Return whether the index is gone, finalizer and all."""
    return await server.get(ports.VECTOR_INDEX, "default", "products") is None


async def eventually(ask, seconds=10):
    """Return the first answer that is true, asking for some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := await ask():
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing within {seconds} s")
