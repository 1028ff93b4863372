"""One pass after another over the memory cluster: what a user sees of it."""

import base64
import dataclasses
import json

import pytest

from vectorfleet_operator import certificates, errors, ports, reconcile
from vectorfleet_runtime import parties


def decode(secret, entry):
    """Return a Secret's entry as text."""
    return base64.b64decode(secret["data"][entry]).decode()


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
    world.cluster = Recording(world.cluster)

    await world.take_pass()

    assert set(world.cluster.calls) == {"get", "list"}


@dataclasses.dataclass
class Recording:
    """A cluster that notes which of its methods are called."""

    inner: object
    calls: list = dataclasses.field(default_factory=list)

    def __getattr__(self, name):
        self.calls.append(name)
        return getattr(self.inner, name)


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


SECRETS = ("products-api-key", "products-ca", *(f"products-{role}-tls" for role in parties.Role))


async def secrets_of(world):
    """Return what every Secret of the index holds."""
    return {name: (await world.get(ports.SECRET, name))["data"] for name in SECRETS}


async def test_secrets_are_drawn_once(world):
    """Key and certificates are made on the first pass and do not change, whatever else does."""
    await world.submit()
    await world.settle()
    before = await secrets_of(world)

    await world.submit(resources={"requests": {"cpu": "2"}})
    await world.settle()

    assert await secrets_of(world) == before
    assert world.entropy.draws == len(SECRETS)


async def test_certificates_are_renewed_without_a_restart(world):
    """When two thirds of their time are over, pods find new ones in their Secrets, and stay."""
    await world.submit()
    await world.settle()
    before = await secrets_of(world)
    templates = [await world.get(ports.STATEFUL_SET, f"products-g1-s{n}") for n in range(2)]
    world.clock.moment += certificates.LIFE * 2 / 3

    await world.settle()

    after = await secrets_of(world)
    assert {name for name in SECRETS if after[name] != before[name]} == set(SECRETS[2:])
    fresh = [await world.get(ports.STATEFUL_SET, f"products-g1-s{n}") for n in range(2)]
    assert [one["spec"] for one in fresh] == [one["spec"] for one in templates]


async def test_the_operator_shows_its_certificate(world):
    """Shards are asked with the operator's own, and whom it trusts, and nothing else."""
    await world.submit()
    await world.settle()
    stored = (await world.get(ports.SECRET, "products-operator-tls"))["data"]
    shown = {
        json.dumps(
            {name: base64.b64decode(stored[name]).decode() for name in ("tls.crt", "tls.key", "ca.crt")}
        )
    }
    assert {token for _, token in world.shards.asked} == shown


async def test_a_lost_certificate_or_authority_comes_back(world):
    """Whatever Secret was deleted, and all at once."""
    await world.submit()
    await world.settle()
    for lost in (*((name,) for name in SECRETS[1:]), SECRETS[1:]):
        for name in lost:
            await world.cluster.delete(await world.get(ports.SECRET, name))
        await world.settle()
        assert all((await secrets_of(world)).values())


async def test_a_deleted_key_is_drawn_anew(world):
    """A Secret that somebody deleted comes back, with another key."""
    await world.submit()
    await world.settle()
    await world.cluster.delete(await world.get(ports.SECRET, "products-api-key"))

    await world.settle()

    assert decode(await world.get(ports.SECRET, "products-api-key"), "api-key") == "secret-6"


async def test_keys_that_the_user_put_in_stay(world):
    """A key that is being rotated in stays beside ours; once ours is taken out, it stays out."""
    await world.submit()
    await world.settle()
    secret = await world.get(ports.SECRET, "products-api-key")
    await world.cluster.apply(secret | {"data": {"mine": base64.b64encode(b"mine").decode()}})

    await world.settle()

    assert set((await world.get(ports.SECRET, "products-api-key"))["data"]) == {"mine"}


async def test_a_secret_made_beforehand_is_used_as_it_is(world):
    """A Secret of the key's name that does not belong to the index is neither changed nor refused."""
    given = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "products-api-key", "namespace": "shop"},
        "data": {"mine": base64.b64encode(b"mine").decode()},
    }
    stored = await world.cluster.apply(given)
    await world.submit()

    await world.settle()

    assert await world.get(ports.SECRET, "products-api-key") == stored
    assert (await world.conditions())["Ready"]["status"] == "True"


async def test_vectors_are_what_the_shards_report(world):
    """The sum of the shards' rows; a shard that does not answer counts with what it last said."""
    await world.submit()
    await world.settle()
    world.shards.tell("products-g1-s0-0", rows=40)
    world.shards.tell("products-g1-s1-0", rows=60)
    await world.take_pass()
    both = (await world.get(ports.VECTOR_INDEX, "products"))["status"]["vectors"]

    del world.shards.reports["products-g1-s1-0"]
    world.shards.tell("products-g1-s0-0", rows=50)
    await world.take_pass()

    assert both == 100
    assert (await world.get(ports.VECTOR_INDEX, "products"))["status"]["vectors"] == 110
    assert world.shards.asked[0][0] == "products-g1-s0-0.products-shards.shop.svc:7400"


async def test_a_shard_that_refuses_writes_is_told(world):
    """An index that serves reads alone is not ready, and says why."""
    await world.submit()
    await world.settle()
    world.shards.tell("products-g1-s1-0", problem="disk is full to the soft limit")

    await world.take_pass()

    ready = (await world.conditions())["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "WritesRefused")
    assert ready["message"] == "shard 1: disk is full to the soft limit"


async def test_a_missing_secret_of_keys_is_told(world):
    """The gateway can't start without keys; the condition names the Secret that is missing."""
    await world.submit(gateway={"auth": {"secretRef": {"name": "mine"}}})
    await world.take_pass()
    world.start_pods("products-g1-s0", "products-g1-s1")

    await world.take_pass()

    message = (await world.conditions())["Ready"]["message"]
    assert message == "no gateway is ready; the Secret mine, which holds the API keys, does not exist"


async def test_a_pod_in_trouble_is_told(world):
    """`kubectl get vi -o wide` shows what the kubelet says of the pod."""
    await world.submit()
    await world.take_pass()
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "products-g1-s0-0", "namespace": "shop", "labels": {"vectorfleet.io/index": "products"},
        },
    }  # fmt: skip
    await world.cluster.apply(pod)
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}
    world.cluster.set_status(pod, {"containerStatuses": [{"state": {"waiting": waiting}}]})

    await world.take_pass()

    message = (await world.conditions())["Ready"]["message"]
    assert 'pod products-g1-s0-0: ImagePullBackOff: Back-off pulling image "x"' in message


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


async def test_a_transient_error_is_told_and_tried_again(world):
    """The pass ends, the condition says why, and the next pass goes on."""
    await world.submit()
    world.cluster = Failing(world.cluster, errors.Transient("the API server is away"), kind="Deployment")
    await world.take_pass()
    told = (await world.conditions())["Reconciling"]

    world.cluster = world.cluster.inner
    await world.settle()

    assert (told["status"], told["reason"], told["message"]) == ("True", "Retrying", "the API server is away")
    assert (await world.conditions())["Ready"]["status"] == "True"


@pytest.mark.parametrize(("method", "step"), [("list", "observe"), ("apply_status", "publish")])
async def test_errors_say_in_which_step_they_happened(world, method, step):
    """The metrics tell an API server that can't be read from one that can't be written."""
    await world.submit()

    async def fail(*_, **__):
        raise errors.Transient("away")

    setattr(world.cluster, method, fail)
    with pytest.raises(errors.Transient) as failure:
        await world.take_pass()

    assert failure.value.step == step


async def test_a_rejected_object_stalls(world):
    """What the cluster will never accept is for a person to mend."""
    await world.submit()
    world.cluster = Failing(
        world.cluster, errors.Rejected("limits must not be below requests"), kind="StatefulSet"
    )

    outcome = await world.take_pass()

    stalled = (await world.conditions())["Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "Rejected")
    assert (str(outcome.error), outcome.error.step) == ("limits must not be below requests", "execute")


@dataclasses.dataclass
class Failing:
    """A cluster that fails to apply objects of one kind."""

    inner: object
    error: Exception
    kind: str

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def apply(self, manifest):
        if manifest["kind"] == self.kind:
            raise self.error
        return await self.inner.apply(manifest)


async def test_events_tell_of_turns_only(world):
    """Becoming ready is told once, a stall is told once; passes that change nothing tell nothing."""
    await world.submit()
    await world.settle()
    await world.take_pass()
    await world.submit(rollout={})
    await world.take_pass()
    await world.take_pass()

    told = [(event.reason, event.warning) for event in world.cluster.events]
    assert told == [("Serving", False), ("NotSupportedYet", True)]


async def test_times_of_conditions_move_only_with_their_status(world):
    """LastTransitionTime says since when, not since when somebody looked."""
    await world.submit()
    await world.settle()
    before = await world.conditions()
    world.clock.moment = world.clock.moment.replace(year=2027)
    await world.submit(gateway={"replicas": 3})

    await world.take_pass()

    after = await world.conditions()
    assert after["Ready"]["lastTransitionTime"] == before["Ready"]["lastTransitionTime"]
    assert after["Ready"]["observedGeneration"] == before["Ready"]["observedGeneration"] + 1
    assert after["Reconciling"]["lastTransitionTime"].startswith("2027")


async def test_an_autoscaler_counts_copies_and_not_pods(world):
    """`status.selector` selects the pods of one shard, and replicas are counted per shard."""
    await world.submit()
    await world.settle()

    status = (await world.get(ports.VECTOR_INDEX, "products"))["status"]
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)
    assert "vectorfleet.io/shard=0" in status["selector"]


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
    world.cluster = Failing(inner, errors.Forbidden("no resize"), kind="PersistentVolumeClaim")

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
