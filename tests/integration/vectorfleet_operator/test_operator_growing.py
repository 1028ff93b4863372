"""Volumes that grow, or can't, on a real API server; the tests are the controllers that it lacks."""

import pytest
from apiserver import passes, serving

from vectorfleet_operator import errors

LARGER = passes.INDEX | {
    "spec": passes.INDEX["spec"] | {"storage": {"size": "2Gi", "storageClassName": "fast"}}
}
WORKLOAD = "/apis/apps/v1/namespaces/default/statefulsets/products-g1-s0"


@pytest.fixture
def storage_class(address, request):
    """A StorageClass `fast` that lets volumes grow, or not."""
    path = "/apis/storage.k8s.io/v1/storageclasses"
    made = {"provisioner": "test.local/none", "allowVolumeExpansion": request.param}
    made |= {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
    serving.call(address, path, "POST", made)
    yield made
    serving.call(address, f"{path}/fast", "DELETE")


@pytest.fixture
def claim(address):
    """The claim of shard 0, bound: what the controllers of a whole cluster would make of the StatefulSet."""
    path = "/api/v1/namespaces/default/persistentvolumeclaims"
    one = f"{path}/data-products-g1-s0-0"
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "volumeName": "volume-0",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    metadata = {"name": "data-products-g1-s0-0", "labels": {"vectorfleet.io/index": "products"}}
    serving.call(address, path, "POST", {"metadata": metadata, "spec": spec})
    status = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    serving.call(address, f"{one}/status", "PATCH", {"status": status}, "application/merge-patch+json")
    yield one
    serving.release(address, one)


def size_of(workload):
    """Return the size in the claim template of a StatefulSet."""
    return workload["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]


@pytest.mark.parametrize("storage_class", [True], indirect=True)
async def test_volumes_grow(server, address, storage_class, claim):
    """The claim first; then the StatefulSet goes without its pods, and comes back with larger templates."""
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    before = serving.call(address, WORKLOAD)

    await server.apply(LARGER)
    await passes.take_pass(server)
    grown, kept = serving.call(address, claim), serving.call(address, WORKLOAD)
    await passes.take_pass(server)
    going = serving.call(address, WORKLOAD)
    serving.release(address, WORKLOAD)
    await passes.take_pass(server)
    made = serving.call(address, WORKLOAD)
    settled = await passes.versions(server)
    await passes.take_pass(server)

    assert grown["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert (kept["metadata"]["uid"], size_of(kept)) == (before["metadata"]["uid"], "1Gi")
    assert going["metadata"]["finalizers"] == ["orphan"]
    assert made["metadata"]["uid"] != before["metadata"]["uid"]
    assert size_of(made) == "2Gi"
    assert made["spec"]["template"] == before["spec"]["template"]
    assert await passes.versions(server) == settled


@pytest.mark.parametrize("storage_class", [False], indirect=True)
async def test_volumes_whose_class_does_not_let_them_grow(server, address, storage_class, claim):
    """The condition says so in the server's words; everything else is done."""
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    await server.apply(LARGER | {"spec": LARGER["spec"] | {"podLabels": {"team": "other"}}})
    outcome = await passes.take_pass(server)
    told = {one.type: one for one in outcome.status.conditions}["VolumesTooSmall"]
    workload = serving.call(address, WORKLOAD)

    assert outcome.error is None
    assert (told.holds, told.reason) == (True, "NotExpandable")
    assert "data-products-g1-s0-0 can't grow to 2Gi" in told.message
    assert "must support resize" in told.message
    assert workload["spec"]["template"]["metadata"]["labels"]["team"] == "other"
    assert size_of(workload) == "1Gi"


SMALLER = passes.INDEX | {
    "spec": passes.INDEX["spec"] | {"storage": {"size": "1000Mi", "storageClassName": "fast"}}
}


@pytest.mark.parametrize("storage_class", [False], indirect=True)
async def test_a_size_that_the_class_can_not_reach_is_taken_back(server, address, storage_class, claim):
    """As far as the volumes are: the API server lets it through, and nothing is too small any more."""
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    await server.apply(LARGER)
    await passes.take_pass(server)
    with pytest.raises(errors.Rejected, match=r"smaller than status\.volumeSize"):
        await server.apply(SMALLER)
    back = await server.apply(passes.INDEX)
    outcome = await passes.take_pass(server)
    told = {one.type: one for one in outcome.status.conditions}

    assert back["status"]["volumeSize"] == "1Gi"
    assert back["spec"]["storage"]["size"] == "1024Mi"
    assert (told["VolumesTooSmall"].holds, told["Stalled"].holds) == (False, False)


@pytest.mark.parametrize("storage_class", [True], indirect=True)
async def test_a_size_that_no_driver_reaches_is_taken_back(server, address, storage_class, claim):
    """Claims ask for it and get nothing: the StatefulSet is made again with what they have."""
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    await server.apply(LARGER)
    for _ in range(2):
        await passes.take_pass(server)
    serving.release(address, WORKLOAD)
    waiting = await passes.take_pass(server)
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    serving.release(address, WORKLOAD)
    outcome = await passes.take_pass(server)
    before, after = (
        next(one.message for one in seen.status.conditions if one.type == "Reconciling")
        for seen in (waiting, outcome)
    )

    assert "data-products-g1-s0-0 has 1Gi of 2Gi" in before
    assert "data-products-g1-s0-0" not in after
    assert size_of(serving.call(address, WORKLOAD)) == "1Gi"


@pytest.mark.parametrize("storage_class", [True], indirect=True)
async def test_a_claim_asks_for_less_where_its_driver_could_not_reach_more(
    server, address, storage_class, claim
):
    """The driver says that 2Gi can't be had: the condition says what helps, and 1.5Gi is asked for then."""
    await server.apply(passes.INDEX)
    await passes.take_pass(server)
    await server.apply(LARGER)
    await passes.take_pass(server)
    status = {
        "allocatedResources": {"storage": "2Gi"},
        "allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"},
        "conditions": [{"type": "ControllerResizeError", "status": "True", "message": "no quota"}],
    }
    serving.call(address, f"{claim}/status", "PATCH", {"status": status}, "application/merge-patch+json")
    outcome = await passes.take_pass(server)
    told = {one.type: one for one in outcome.status.conditions}["VolumesTooSmall"]
    await server.apply(LARGER | {"spec": LARGER["spec"] | {"storage": BETWEEN}})
    taken_back = await passes.take_pass(server)

    assert (told.holds, told.reason) == (True, "DriverCannotExpand")
    assert "data-products-g1-s0-0 has 1Gi of 2Gi (no quota)" in told.message
    assert taken_back.error is None
    assert serving.call(address, claim)["spec"]["resources"]["requests"]["storage"] == "1536Mi"


BETWEEN = {"size": "1536Mi", "storageClassName": "fast"}
