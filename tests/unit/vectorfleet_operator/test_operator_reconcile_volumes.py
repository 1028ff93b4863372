"""One pass after another over the memory cluster: volumes grow, or the user is told why not."""

from planning import faults

from vectorfleet_operator import errors, ports


async def test_volumes_grow(world):
    """Claims, then the StatefulSets with their pods kept; the index is as it should be two passes later."""
    await world.submit()
    await world.settle()
    for number in range(2):
        world.cluster.put(claim(number), BOUND)
    owner = await world.get(ports.STATEFUL_SET, "products-g1-s0")
    world.cluster.put(pod_of(owner), {})

    await world.submit(storage={"size": "20Gi"})
    for _ in range(3):
        await world.take_pass()

    grown = await world.get(ports.PERSISTENT_VOLUME_CLAIM, "data-products-g1-s0-0")
    made = await world.get(ports.STATEFUL_SET, "products-g1-s0")
    assert grown["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert made["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert made["metadata"]["uid"] != owner["metadata"]["uid"]
    assert ("Pod", "products-g1-s0-0") in world.names()
    assert (await world.conditions())["Reconciling"]["reason"] == "ExpandingVolumes"


async def test_an_index_is_under_way_while_its_stateful_set_is_made_anew(world):
    """The pods serve on, and yet nobody is told that all is done before there is a StatefulSet again."""
    await world.submit()
    await world.settle()
    grown = claim(0)
    grown["spec"]["resources"]["requests"]["storage"] = "20Gi"
    world.cluster.put(grown, {"phase": "Bound", "capacity": {"storage": "20Gi"}})

    await world.submit(storage={"size": "20Gi"})
    await world.take_pass()

    told = await world.conditions()
    assert ("StatefulSet", "products-g1-s0") not in world.names()
    assert (told["Reconciling"]["status"], told["Reconciling"]["reason"]) == ("True", "ExpandingVolumes")


async def test_volumes_that_can_not_grow_are_told(world):
    """The index serves on with those that it has; once they could grow, the condition is False."""
    await world.submit()
    await world.settle()
    world.cluster.put(claim(0), BOUND)
    inner = world.cluster
    world.cluster = faults.Failing(inner, errors.Forbidden("no resize"), kind="PersistentVolumeClaim")

    await world.submit(storage={"size": "20Gi"})
    await world.take_pass()
    told = await world.conditions()
    world.cluster = inner
    await world.take_pass()

    assert (told["VolumesTooSmall"]["status"], told["VolumesTooSmall"]["reason"]) == ("True", "NotExpandable")
    assert told["Ready"]["status"] == "True"
    assert (await world.conditions())["VolumesTooSmall"]["status"] == "False"


BOUND = {"phase": "Bound", "capacity": {"storage": "10Gi"}}


def claim(number):
    """Return the claim of a shard, as its StatefulSet's controller makes it."""
    labels = {"vectorfleet.io/index": "products"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"data-products-g1-s{number}-0", "namespace": "shop", "labels": labels},
        "spec": {"resources": {"requests": {"storage": "10Gi"}}},
    }


def pod_of(workload):
    """Return a pod that goes with its workload, unless it is orphaned."""
    metadata = {
        "name": f"{workload['metadata']['name']}-0",
        "namespace": "shop",
        "ownerReferences": [{"kind": "StatefulSet", "uid": workload["metadata"]["uid"], "controller": True}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
