"""What shards report of themselves, in the statuses of shards and index."""

from vectorfleet_operator import ports, reconcile
from vectorfleet_operator.adapters import shards
from vectorfleet_shardnode.api import shard_pb2

PRESSURE = ports.ShardCondition("MemoryPressure", "SoftLimit", "950 of 1000 MiB; give it more memory")


def short(one):
    """Return what a condition says, without its times."""
    return one["status"], one["reason"], one["message"]


async def test_a_report_shows_in_shard_and_index(world):
    """Under the shard's own words; the index names the shard, and is as ready as before."""
    await world.submit()
    await world.settle()
    world.shards.tell("products-g1-s0-0")
    world.shards.tell("products-g1-s1-0", conditions=(PRESSURE,))
    await world.take_pass()

    found = await world.conditions()
    assert short(found["MemoryPressure"]) == ("True", "SoftLimit", f"shard 1: {PRESSURE.message}")
    assert found["Ready"]["status"] == "True"
    told = {
        number: {
            one["type"]
            for one in (await world.get(ports.VECTOR_SHARD, f"products-g1-s{number}"))["status"]["conditions"]
        }
        for number in range(2)
    }
    assert told == {0: {"Ready"}, 1: {"Ready", "MemoryPressure"}}


async def test_all_shards_that_report_are_named(world):
    """One condition of each type, whichever shards have it."""
    await world.submit()
    await world.settle()
    for number in range(2):
        world.shards.tell(f"products-g1-s{number}-0", conditions=(PRESSURE,))
    await world.take_pass()

    message = (await world.conditions())["MemoryPressure"]["message"]
    assert message == f"shard 0: {PRESSURE.message}; shard 1: {PRESSURE.message}"


async def test_what_is_over_turns_false(world):
    """It does not vanish: one can wait for its end, and see when that was."""
    await world.submit()
    await world.settle()
    world.shards.tell("products-g1-s0-0", conditions=(PRESSURE,))
    await world.take_pass()
    world.shards.tell("products-g1-s0-0")
    await world.take_pass()

    found = (await world.conditions())["MemoryPressure"]
    assert short(found) == ("False", "Resolved", "no shard reports it any more")
    shard = await world.get(ports.VECTOR_SHARD, "products-g1-s0")
    assert [one["status"] for one in shard["status"]["conditions"]] == ["True", "False"]


async def test_a_silent_shard_keeps_what_it_had(world):
    """That it does not answer is no sign of recovery."""
    await world.submit()
    await world.settle()
    world.shards.tell("products-g1-s0-0", conditions=(PRESSURE,))
    await world.take_pass()
    world.shards.reports.clear()
    await world.take_pass()

    assert (await world.conditions())["MemoryPressure"]["status"] == "True"


async def test_events_tell_of_beginning_and_end(world):
    """A warning when it begins, a plain event when it is over, none in between."""
    await world.submit()
    await world.settle()
    world.cluster.events.clear()
    for conditions in ((PRESSURE,), (PRESSURE,), (), ()):
        world.shards.tell("products-g1-s0-0", conditions=conditions)
        await world.take_pass()

    assert [(event.reason, event.message, event.warning) for event in world.cluster.events] == [
        ("SoftLimit", f"MemoryPressure: shard 0: {PRESSURE.message}", True),
        ("Resolved", "MemoryPressure: no shard reports it any more", False),
    ]


async def test_a_shard_decides_nothing_of_the_operators(world):
    """A report can't take the place of Ready or Stalled."""
    await world.submit()
    await world.settle()
    forged = tuple(ports.ShardCondition(kind, "Forged", "") for kind in ("Ready", "Stalled", "Reconciling"))
    world.shards.tell("products-g1-s0-0", conditions=forged)
    outcome = await world.take_pass()

    assert "Forged" not in str((await world.get(ports.VECTOR_INDEX, "products"))["status"])
    assert outcome.requeue_after == reconcile.SETTLED_SECONDS


async def test_a_spec_that_can_not_be_read_hides_no_trouble(world):
    """What shards have reported stays in the status of an index that is stalled."""
    await world.submit()
    await world.settle()
    world.shards.tell("products-g1-s0-0", conditions=(PRESSURE,))
    await world.take_pass()
    await world.submit(shards=0)
    await world.take_pass()
    found = await world.conditions()
    assert (found["Stalled"]["status"], found["MemoryPressure"]["status"]) == ("True", "True")


async def test_a_stalled_index_goes_on_telling(world):
    """Nothing is changed, but shards are still asked."""
    await world.submit()
    await world.settle()
    await world.submit(rollout={})
    world.shards.tell("products-g1-s0-0", conditions=(PRESSURE,))
    await world.take_pass()
    found = await world.conditions()
    assert (found["Stalled"]["status"], found["MemoryPressure"]["status"]) == ("True", "True")


def test_conditions_travel():
    """From the shard's message to the operator's report."""
    reply = shard_pb2.ReportReply(
        conditions=[shard_pb2.Condition(type="DiskPressure", reason="SoftLimit", message="full")]
    )
    report = shards._to_report("products-g1-s0-0.products-shards:7400", reply)
    assert report.conditions == (ports.ShardCondition("DiskPressure", "SoftLimit", "full"),)
