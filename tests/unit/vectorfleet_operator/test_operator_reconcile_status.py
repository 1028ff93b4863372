"""One pass after another over the memory cluster: what status, conditions and events tell."""

import pytest
from planning import faults

from vectorfleet_operator import errors, ports


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


async def test_a_transient_error_is_told_and_tried_again(world):
    """The pass ends, the condition says why, and the next pass goes on."""
    await world.submit()
    world.cluster = faults.Failing(
        world.cluster, errors.Transient("the API server is away"), kind="Deployment"
    )
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
    world.cluster = faults.Failing(
        world.cluster, errors.Rejected("limits must not be below requests"), kind="StatefulSet"
    )

    outcome = await world.take_pass()

    stalled = (await world.conditions())["Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "Rejected")
    assert (str(outcome.error), outcome.error.step) == ("limits must not be below requests", "execute")


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
