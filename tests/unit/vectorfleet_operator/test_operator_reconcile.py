"""One pass after another over the memory cluster: what becomes of a manifest."""

import pytest
from planning import faults

from vectorfleet_operator import ports, reconcile


async def test_a_manifest_becomes_a_ready_index(world):
    """After one pass everything exists; once the pods are ready, so is the index."""
    await world.submit()

    first = await world.take_pass()
    world.start_pods()
    second = await world.take_pass()

    assert first.requeue_after == reconcile.SOON_SECONDS
    assert ("StatefulSet", "products-g1-s1") in world.names()
    assert second.requeue_after == reconcile.SETTLED_SECONDS
    conditions = await world.conditions()
    assert {name: one["status"] for name, one in conditions.items()} == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
    }


async def test_a_settled_index_is_left_alone(world):
    """A pass over an index that is as it should be reads, and writes nothing at all."""
    await world.submit()
    await world.settle()
    world.cluster = faults.Recording(world.cluster)

    await world.take_pass()

    assert set(world.cluster.calls) == {"get", "list"}


async def test_an_index_that_is_gone_or_going_is_left_alone(world):
    """What it owns goes by owner references; a pass in between must not bring it back."""
    assert (await world.take_pass()).requeue_after is None

    await world.submit()
    index = await world.get(ports.VECTOR_INDEX, "products")
    await world.cluster.apply(
        index | {"metadata": index["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    )

    assert (await world.take_pass()).requeue_after is None
    assert {kind for kind, _ in world.names()} == {"VectorIndex"}


async def test_deleting_the_index_deletes_what_it_owns(world):
    """Owner references do it."""
    await world.submit()
    await world.settle()

    await world.cluster.delete(await world.get(ports.VECTOR_INDEX, "products"))

    assert world.names() == set()


async def test_an_invalid_spec_stalls_and_changes_nothing(world):
    """The condition names the fields; what ran before goes on as it was."""
    await world.submit()
    await world.settle()
    before = [one for one in world.cluster.objects() if one["kind"] not in {"VectorIndex", "VectorShard"}]

    await world.submit(shards=0, colour="red")
    await world.take_pass()

    conditions = await world.conditions()
    assert conditions["Stalled"]["reason"] == "InvalidSpec"
    assert "spec.shards" in conditions["Stalled"]["message"]
    assert "spec.colour: there is no such field" in conditions["Stalled"]["message"]
    assert conditions["Ready"]["status"] == "False"
    index = await world.get(ports.VECTOR_INDEX, "products")
    assert index["status"]["observedGeneration"] == index["metadata"]["generation"]
    assert [
        one for one in world.cluster.objects() if one["kind"] not in {"VectorIndex", "VectorShard"}
    ] == before


async def test_a_field_that_is_not_supported_yet_stalls(world):
    """And the way back is to take the field out again."""
    await world.submit(rollout={})
    await world.take_pass()
    stalled = (await world.conditions())["Stalled"]

    await world.submit()
    await world.settle()

    assert (stalled["reason"], stalled["message"]) == ("NotSupportedYet", "not supported yet: spec.rollout")
    assert (await world.conditions())["Stalled"]["status"] == "False"


async def test_a_paused_index_is_not_touched(world):
    """A deleted Service stays away while paused, and comes back afterwards."""
    await world.submit()
    await world.settle()
    await world.submit(paused=True)
    await world.cluster.delete(await world.get(ports.SERVICE, "products"))

    await world.take_pass()
    paused, conditions = await world.get(ports.SERVICE, "products"), await world.conditions()
    await world.submit()
    await world.settle()

    assert paused is None
    assert (conditions["Reconciling"]["status"], conditions["Reconciling"]["reason"]) == ("False", "Paused")
    assert conditions["Ready"]["status"] == "True"
    assert await world.get(ports.SERVICE, "products") is not None


async def test_a_configuration_in_force_is_never_replaced(world):
    """Whatever epoch a shard is in, a pass leaves it there."""
    await world.submit()
    await world.settle()
    shard = await world.get(ports.VECTOR_SHARD, "products-g1-s0")
    members = [{"name": "products-g1-s0-0", "disk": "d1"}]
    later = {"epoch": 5, "primary": "products-g1-s0-0", "members": members, "writeQuorum": 1}
    world.cluster.set_status(shard, shard["status"] | {"configuration": later, "reserved": 7})
    world.shards.tell("products-g1-s0-0", rows=3)

    await world.take_pass()

    status = (await world.get(ports.VECTOR_SHARD, "products-g1-s0"))["status"]
    assert (status["configuration"], status["reserved"], status["rows"]) == (later, 7, 3)


@pytest.mark.parametrize("spec", [{"shards": 3}, {"metric": "euclidean"}, {"storage": {"size": "5Gi"}}])
async def test_immutable_fields_are_guarded_without_an_api_server(world, spec):
    """The local cluster has no CEL; the operator refuses in its stead, and the index goes on serving."""
    await world.submit()
    await world.settle()
    before = await world.get(ports.CONFIG_MAP, "products-config")

    await world.submit(**spec)
    await world.take_pass()

    assert (await world.conditions())["Stalled"]["status"] == "True"
    assert await world.get(ports.CONFIG_MAP, "products-config") == before
