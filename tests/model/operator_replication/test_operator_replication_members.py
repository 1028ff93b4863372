"""How a shard begins, who is a member of it, and the record that the cluster keeps of that."""

import asyncio
from unittest import mock

import pytest
from replicas import loop, replica, world
from replicas.scenarios import SHARD, live

from vectorfleet_operator import replication


@pytest.mark.parametrize("replicas", [1, 2, 3, 5])
def test_a_new_shard_begins(replicas):
    """All replicas are members from the first epoch on, and writes are acknowledged."""

    async def scenario(given):
        await given.writes_again()
        found = given.configuration()
        assert (found["epoch"], found["writeQuorum"]) == (1, replicas // 2 + 1)
        assert len(found["members"]) == replicas

    live(scenario, replicas=replicas)


def test_replicas_come_and_go():
    """From 1 to 3 to 2 to 1: a replica joins once it has caught up, and a primary that goes hands over."""

    async def scenario(given):
        for count in (3, 5, 2, 1):
            await given.submit(replicas=count)
            await given.settle()
            assert given.configuration()["writeQuorum"] == count // 2 + 1
            await given.writes_again()
            given.check()
        await given.wait_until(lambda: given.cluster.find("StatefulSet", SHARD)["spec"]["replicas"] == 1)

    live(scenario, replicas=1)


def test_the_write_quorum_changes_in_place():
    """`consistency.write: all` is a new configuration, and back again."""

    async def scenario(given):
        await given.submit(consistency={"write": "all"})
        await given.wait_until(lambda: given.configuration()["writeQuorum"] == 3)
        await given.submit(consistency={"write": "quorum"})
        await given.wait_until(lambda: given.configuration()["writeQuorum"] == 2)
        await given.writes_again()

    live(scenario)


def test_each_attempt_to_begin_has_an_epoch_of_its_own():
    """The first one's Lead is lost, and may yet arrive: nobody else ever leads under its epoch."""
    led = []

    def lead(one, configuration, now):
        led.append(configuration.epoch)
        return replication.Led(False, False, one.last)

    async def scenario():
        given = world.World()
        async with given.living():
            with mock.patch.object(replica.Replica, "lead", lead):
                await given.wait_until(lambda: len(led) >= 3)
            await given.settle()
            assert given.configuration()["epoch"] > max(led)

    loop.run(scenario())
    assert len(set(led)) == len(led)


def test_a_lost_vector_shard_is_found_again():
    """The VectorShard is deleted: the configuration that the replicas know is taken back."""

    async def scenario(given):
        given.kill_node(given.primary().name)
        await given.writes_again()
        for name in list(given.dead_nodes):
            given.start_node(name)
        await given.settle()
        epoch = given.configuration()["epoch"]
        given.cluster.remove("VectorShard", SHARD)
        await given.wait_until(lambda: given.configuration() is not None)
        assert given.configuration()["epoch"] == epoch
        await given.settle()
        await given.writes_again()

    live(scenario)


def test_a_lost_vector_shard_waits_for_every_replica():
    """Without one of its replicas nobody knows which configuration is the newest."""

    async def scenario(given):
        silent = given.primary().name
        given.kill_node(silent)
        given.cluster.remove("VectorShard", SHARD)
        await given.wait_until(
            lambda: (
                "ConfigurationLost"
                in (
                    given.conditions()
                    if given.cluster.find("VectorShard", SHARD)
                    and given.cluster.find("VectorShard", SHARD).get("status")
                    else {}
                )
            )
        )
        await asyncio.sleep(30)
        assert given.configuration() is None
        given.start_node(silent)
        await given.wait_until(lambda: given.configuration() is not None)
        await given.settle()

    live(scenario)


def test_quiet_times_cost_the_api_server_little():
    """While all is well nothing is written but positions now and then."""

    async def scenario(given):
        await asyncio.sleep(30)
        writes = given.cluster.writes
        calls = given.cluster.calls
        await asyncio.sleep(120)
        assert given.cluster.writes - writes <= 30
        assert given.cluster.calls - calls <= 12 * 30

    live(scenario)


@pytest.mark.parametrize("joins", [False, True])
def test_a_replica_whose_volume_has_no_room_for_a_copy_is_told(joins):
    """Member or to be one: the condition says what is lacking and what helps; with room it goes by itself."""

    async def scenario(given):
        await given.writes_again()
        if joins:
            await given.submit(replicas=4)
            await given.wait_until(lambda: f"{SHARD}-3" in given.replicas)
        cramped = given.replicas[f"{SHARD}-{3 if joins else 2}"]
        cramped.cramped = True
        await given.wait_until(lambda: given.conditions().get("Degraded", {}).get("reason") == "NoRoomToCopy")
        assert "9 GiB are to be copied" in given.conditions()["Degraded"]["message"]
        assert "delete its pod and its claim" in given.conditions()["Degraded"]["message"]
        await given.writes_again()
        cramped.cramped = False
        await given.settle()

    live(scenario, replicas=3)
