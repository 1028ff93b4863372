"""Replicas that serve nothing though they may have their data: said with the reason, and never given up."""

import asyncio

import pytest
from replicas.scenarios import SHARD, live, now, pick

from vectorfleet_operator import replication

CAUSES = {
    replication.Cause.DISK_FAILED: (
        "the disk fails: /data/manifest.json: Input/output error (EIO)",
        "delete its pod and its volume claim to have it filled on another one",
    ),
    replication.Cause.UNKNOWN_FORMAT: (
        "manifest.json has format 2; this program reads format 1",
        "run a version that reads its files",
    ),
    replication.Cause.TOO_LARGE: ("the shard needs 3 MiB", "give the shard more memory"),
}


@pytest.mark.parametrize("who", ["primary", "follower"])
@pytest.mark.parametrize("cause", CAUSES)
def test_a_replica_that_can_not_serve_says_why_and_is_left_as_it_is(cause, who):
    """The others lead and write on; shard and index tell the cause, and it comes back as the same disk."""
    reason, advice = CAUSES[cause]

    async def scenario(given):
        await given.writes_again()
        unable, since = pick(given, who), now()
        unable.disable(cause, reason)
        disk = unable.disk
        await given.wait_until(lambda: "ReplicaUnable" in given.conditions())
        await given.writes_again()
        await asyncio.sleep(60)
        assert given.longest_gap(since) < 10
        assert unable.disk == disk
        told = given.conditions()["ReplicaUnable"]
        assert told["reason"] == cause
        assert f"{unable.name}: {reason}; " in told["message"]
        assert advice in told["message"]
        assert f"{unable.name} serves nothing" in given.conditions()["Degraded"]["message"]
        assert not {"ReplicaDamaged", "ShardLost"} & given.conditions().keys()
        assert given.index_conditions()["ReplicaUnable"]["reason"] == cause
        unable.inability = None
        unable.crash()
        await given.settle()
        await given.wait_until(lambda: "ReplicaUnable" not in given.conditions())
        assert unable.disk == disk

    live(scenario)


def test_a_disk_that_fails_may_be_replaced_by_a_person():
    """Its pod and its claim deleted, it is filled again on another disk."""

    async def scenario(given):
        await given.writes_again()
        broken = pick(given, "follower")
        broken.disable(*_failed())
        await given.wait_until(lambda: "ReplicaUnable" in given.conditions())
        broken.lose_disk()
        broken.crash()
        await given.settle()
        await given.wait_until(lambda: "ReplicaUnable" not in given.conditions())
        assert broken.disk in [one["disk"] for one in given.configuration()["members"]]

    live(scenario)


def test_two_of_three_that_can_not_be_read_lose_the_quorum_and_not_the_shard():
    """They may be read again, so that no loss is spoken of, and nobody is told to replace a disk."""

    async def scenario(given):
        await given.writes_again()
        unable = [one for one in given.replicas.values() if one is not given.primary()]
        for one in unable:
            one.disable(*_failed())
        await given.wait_until(lambda: "QuorumLost" in given.conditions())
        await given.wait_until(lambda: "ReplicaUnable" in given.conditions())
        await asyncio.sleep(30)
        assert "ShardLost" not in given.conditions()
        told = given.conditions()["ReplicaUnable"]["message"]
        assert "too few of the others hold all that it may hold" in told
        assert "volume claim" not in told
        unable[0].inability = None
        unable[0].crash()
        await given.writes_again()

    live(scenario)


def test_a_loss_says_which_members_may_have_their_data():
    """One disk is gone and one can't be read: what a person chooses between is said of each."""

    async def scenario(given):
        await given.writes_again()
        gone, unable = (one for one in given.replicas.values() if one is not given.primary())
        given.primary().damage()
        unable.disable(*_failed())
        gone.crash()
        gone.lose_disk()
        await given.wait_until(lambda: "ShardLost" in given.conditions())
        told = given.conditions()["ShardLost"]["message"]
        assert f"{unable.name} serves nothing, and may have all of its data" in told
        assert f"{unable.name} does not answer" not in told

    live(scenario)


def test_a_new_shard_that_can_not_be_begun_says_why():
    """Before there is a configuration too."""

    async def scenario(given):
        for one in given.replicas.values():
            one.disable(*_failed())
        await given.wait_until(lambda: "ReplicaUnable" in given.conditions())
        told = given.conditions()["ReplicaUnable"]
        assert told["message"].count("see to its disk") == 3
        assert f"{SHARD}-0: the disk fails" in told["message"]

    live(scenario)


def _failed():
    cause = replication.Cause.DISK_FAILED
    return cause, CAUSES[cause][0]
