"""The port `Cluster` kept by both: the memory cluster of the unit tests, and a real API server."""

import copy

import pytest
from apiserver import serving
from kubernetes.aio import client

from vectorfleet_operator import errors, ports
from vectorfleet_operator.adapters import kubernetes, memory


@pytest.fixture(params=["memory", "kubernetes"])
def cluster(request):
    """Each implementation of the port in turn."""
    return memory.MemoryCluster() if request.param == "memory" else request.getfixturevalue("server")


def config_map(name="one", labels=None, **data):
    """Return a small object."""
    metadata = {"name": name, "namespace": "default", "labels": labels or {"app": "test"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_apply_creates_and_returns_what_is_stored(cluster):
    """The object comes back with the identity that the cluster gave it."""
    stored = await cluster.apply(config_map(a="1"))

    assert stored["metadata"]["uid"]
    assert stored["metadata"]["resourceVersion"]
    assert await cluster.get(ports.CONFIG_MAP, "default", "one") == stored


async def test_applying_the_same_again_changes_nothing(cluster):
    """Not even the version."""
    first = await cluster.apply(config_map(a="1"))

    assert await cluster.apply(config_map(a="1")) == first


async def test_what_an_apply_no_longer_names_is_removed(cluster):
    """A field that was ours goes when we do not name it any more."""
    await cluster.apply(config_map(a="1", b="2"))

    assert (await cluster.apply(config_map(a="3")))["data"] == {"a": "3"}


async def test_a_missing_object_is_none(cluster):
    """It is no error to ask."""
    assert await cluster.get(ports.CONFIG_MAP, "default", "nobody") is None


async def test_list_selects_by_all_labels_and_orders_by_name(cluster):
    """An object that lacks one label is not listed."""
    await cluster.apply(config_map("b", {"app": "x", "part": "y"}))
    await cluster.apply(config_map("a", {"app": "x", "part": "y"}))
    await cluster.apply(config_map("c", {"app": "x"}))

    listed = await cluster.list(ports.CONFIG_MAP, "default", {"app": "x", "part": "y"})

    assert [one["metadata"]["name"] for one in listed] == ["a", "b"]
    assert {(one["apiVersion"], one["kind"]) for one in listed} == {("v1", "ConfigMap")}


async def test_delete_is_for_exactly_this_object(cluster):
    """A namesake with another uid stays; the object itself goes; once more is fine."""
    stored = await cluster.apply(config_map(a="1"))
    other = copy.deepcopy(stored)
    other["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111"

    await cluster.delete(other)
    kept = await cluster.get(ports.CONFIG_MAP, "default", "one")
    await cluster.delete(stored)
    await cluster.delete(stored)

    assert kept == stored
    assert await cluster.get(ports.CONFIG_MAP, "default", "one") is None


def shard(number=0):
    """Return a VectorShard, the object whose status is changed by compare-and-swap."""
    spec = {"indexRef": {"name": "products"}, "generation": "g1", "number": number}
    metadata = {"name": f"products-g1-s{number}", "namespace": "default"}
    return {
        "apiVersion": "vectorfleet.io/v1alpha1",
        "kind": "VectorShard",
        "metadata": metadata,
        "spec": spec,
    }


async def test_status_and_spec_are_written_apart(cluster):
    """An apply does not touch the status, and the other way round."""
    await cluster.apply(shard())
    await cluster.apply_status(shard() | {"status": {"rows": 7, "seq": 9}})
    await cluster.apply(shard())

    stored = await cluster.get(ports.VECTOR_SHARD, "default", "products-g1-s0")

    assert (stored["status"], stored["spec"]) == ({"rows": 7, "seq": 9}, shard()["spec"])


async def test_a_status_is_replaced_whole(cluster):
    """A field that the new status does not name is gone."""
    await cluster.apply(shard())
    await cluster.apply_status(shard() | {"status": {"rows": 7, "seq": 9}})
    await cluster.apply_status(shard() | {"status": {"rows": 8}})

    assert (await cluster.get(ports.VECTOR_SHARD, "default", "products-g1-s0"))["status"] == {"rows": 8}


async def test_a_versioned_status_is_a_compare_and_swap(cluster):
    """Of two writers who read the same version, the second is refused and writes nothing."""
    read = await cluster.apply(shard())
    versioned = shard()
    versioned["metadata"] = versioned["metadata"] | {"resourceVersion": read["metadata"]["resourceVersion"]}
    await cluster.apply_status(versioned | {"status": {"reserved": 2}})

    with pytest.raises(errors.Transient):
        await cluster.apply_status(versioned | {"status": {"reserved": 3}})

    assert (await cluster.get(ports.VECTOR_SHARD, "default", "products-g1-s0"))["status"] == {"reserved": 2}


async def test_a_status_of_nothing_is_an_error(cluster):
    """The object has to exist."""
    with pytest.raises(errors.Transient):
        await cluster.apply_status(shard() | {"status": {"rows": 1}})


async def test_an_object_is_created_once(cluster):
    """The second is told that the name is taken, and changes nothing."""
    stored = await cluster.create(config_map(a="1"))
    with pytest.raises(errors.Taken):
        await cluster.create(config_map(a="2"))

    assert await cluster.get(ports.CONFIG_MAP, "default", "one") == stored


async def test_an_object_is_replaced_where_it_is_the_one_that_was_read(cluster):
    """What is not named goes; a change in between, or a deletion, is told and nothing is written."""
    read = await cluster.create(config_map(a="1", b="2"))
    stored = await cluster.replace({**read, "data": {"a": "3"}})
    assert stored["data"] == {"a": "3"}
    assert stored["metadata"]["uid"] == read["metadata"]["uid"]

    with pytest.raises(errors.Changed):
        await cluster.replace({**read, "data": {"a": "4"}})
    assert await cluster.get(ports.CONFIG_MAP, "default", "one") == stored
    await cluster.apply(config_map(a="5"))
    assert (await cluster.get(ports.CONFIG_MAP, "default", "one"))["metadata"]["uid"] == stored["metadata"][
        "uid"
    ]

    await cluster.delete(stored)
    with pytest.raises(errors.Changed):
        await cluster.replace(stored)


async def test_an_event_is_recorded(server, address):
    """`kubectl describe` shows it."""
    about = await server.apply(config_map(a="1"))
    await server.emit(ports.Event(about, "Tested", "it was seen", warning=True))

    [event] = serving.call(address, "/api/v1/namespaces/default/events?fieldSelector=reason=Tested")["items"]

    assert (event["type"], event["message"], event["involvedObject"]["name"]) == (
        "Warning",
        "it was seen",
        "one",
    )


async def test_what_the_server_never_accepts_is_rejected(server):
    """The message is the server's own."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "default"}}

    with pytest.raises(errors.Rejected, match=r"spec\.ports"):
        await server.apply(service | {"spec": {"selector": {"a": "b"}}})


async def test_what_may_pass_is_transient(server):
    """A namespace that does not exist yet, a server that is away."""
    nowhere = config_map(a="1")
    nowhere["metadata"]["namespace"] = "nowhere"
    away = kubernetes.KubernetesCluster(client.ApiClient(client.Configuration(host="http://127.0.0.1:1")))

    with pytest.raises(errors.Transient, match="nowhere"):
        await server.apply(nowhere)
    with pytest.raises(errors.Transient):
        await away.get(ports.CONFIG_MAP, "default", "one")
    await kubernetes.close(away)
