"""Data that differs or is damaged is filled again while most hold a sound copy; else a person is asked."""

import asyncio

import pytest
from replicas.scenarios import SHARD, live, now, pick


@pytest.mark.parametrize("who", ["primary", "follower"])
def test_a_replica_that_differs_is_filled_again(who):
    """Most members agree on other rows than one of them: it gives up its data, whoever it is."""

    async def scenario(given):
        await given.writes_again()
        lead = given.primary()
        rotten = lead if who == "primary" else next(o for o in given.replicas.values() if o is not lead)
        rotten.rotten, disk = 1, rotten.disk
        await given.wait_until(lambda: rotten.disk != disk)
        await given.settle()
        await given.wait_until(lambda: "ReplicaDiverged" not in given.conditions())

    live(scenario)


@pytest.mark.parametrize(
    ("who", "spec"),
    [
        ("primary", {}),
        ("follower", {}),
        ("primary", {"consistency": {"write": "all"}}),
        ("follower", {"consistency": {"write": "all"}}),
    ],
)
def test_a_replica_whose_data_is_damaged_is_filled_again(who, spec):
    """It says so instead of serving: the others lead and write on, and it comes back as another disk."""

    async def scenario(given):
        await given.writes_again()
        broken, since = pick(given, who), now()
        broken.damage()
        disk = broken.disk
        await given.wait_until(lambda: broken.disk != disk)
        await given.settle()
        await given.writes_again()
        assert given.longest_gap(since) < 10
        await given.wait_until(lambda: "ReplicaDamaged" not in given.conditions())

    live(scenario, **spec)


@pytest.mark.parametrize(
    ("how", "before", "after", "spec"),
    [
        ("damaged", 2, 1, {}),
        ("silent", 2, 1, {}),
        ("silent", 3, 2, {"consistency": {"write": "all"}}),
    ],
)
def test_one_that_writes_wait_for_leaves_where_it_is_no_longer_asked_for(how, before, after, spec):
    """No write is acknowledged without it: fewer replicas are asked for, and writes go on."""

    async def scenario(given):
        await given.writes_again()
        broken = given.replicas[f"{SHARD}-{after}"]
        if broken is given.primary():
            shard = f"{SHARD}-0"
            given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/primary": shard})
            await given.wait_until(lambda: given.primary() is given.replicas[shard])
        if how == "damaged":
            broken.damage()
        else:
            given.kill_node(broken.name)
        await asyncio.sleep(10)  # until the primary says that no quorum answers it
        await given.submit(replicas=after)
        await given.wait_until(lambda: len(given.configuration()["members"]) == after)
        await given.writes_again()

    live(scenario, replicas=before, **spec)


def test_damaged_data_stays_while_most_others_have_no_copy():
    """One is damaged, and one of the other two is away: what is left may be needed until that one is back."""

    async def scenario(given):
        await given.writes_again()
        broken, away = (one for one in given.replicas.values() if one is not given.primary())
        given.kill_node(away.name)
        broken.damage()
        disk = broken.disk
        await given.wait_until(lambda: "ReplicaDamaged" in given.conditions())
        await asyncio.sleep(30)
        assert broken.disk == disk
        told = given.conditions()["ReplicaDamaged"]
        assert told["reason"] == "NoMajority"
        assert "a bit has flipped; 1 of 3 members hold a sound copy" in told["message"]
        assert "Stalled" not in given.index_conditions(), "the other one may come back"
        given.start_node(away.name)
        await given.wait_until(lambda: broken.disk != disk)
        await given.settle()

    live(scenario)


def test_two_damaged_replicas_are_filled_one_after_the_other():
    """Of five, three are sound: one is filled and a member again before the next gives up what it has."""

    async def scenario(given):
        await given.writes_again()
        broken = [one for one in given.replicas.values() if one is not given.primary()][:2]
        before = [one.disk for one in broken]
        for one in broken:
            one.damage()

        def renewed():
            return [one.disk not in before for one in broken]

        await given.wait_until(lambda: any(renewed()))
        first = broken[renewed().index(True)]
        await given.wait_until(lambda: all(renewed()))
        assert first.disk in [one["disk"] for one in given.configuration()["members"]]
        await given.settle()

    live(scenario, replicas=5)


def test_two_damaged_of_three_wait_for_a_person():
    """Nobody knows what only they had: the shard is lost until a person keeps what the third one has."""

    async def scenario(given):
        await given.writes_again()
        broken = [one for one in given.replicas.values() if one is not given.primary()]
        last, disks = given.primary(), [one.disk for one in broken]
        for one in broken:
            one.damage()
        await given.wait_until(lambda: "ShardLost" in given.conditions())
        await asyncio.sleep(30)
        assert [one.disk for one in broken] == disks
        told = given.conditions()["ShardLost"]["message"]
        assert "the disks of" not in told
        assert f"the data of {', '.join(sorted(one.name for one in broken))} is damaged" in told
        assert f"vectorfleet.io/accept-loss={last.name}@1" in told
        assert given.index_conditions()["Stalled"]["reason"] == "ShardLost"
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/accept-loss": f"{last.name}@1"})
        await given.wait_until(lambda: not {one.disk for one in broken} & set(disks))
        await given.settle()
        await given.wait_until(lambda: "ShardLost" not in given.conditions())

    live(scenario)


def test_the_damaged_one_of_two_waits_for_a_person():
    """The other one is the last copy: it is not left alone by itself, and the condition says what to do."""

    async def scenario(given):
        await given.writes_again()
        broken = pick(given, "follower")
        broken.damage()
        disk = broken.disk
        await given.wait_until(lambda: "ReplicaDamaged" in given.conditions())
        await asyncio.sleep(30)
        assert broken.disk == disk
        assert "delete its pod and its volume claim" in given.conditions()["ReplicaDamaged"]["message"]
        assert given.index_conditions()["Stalled"]["reason"] in {"NoMajority", "ReplicaDamaged"}
        broken.crash()
        broken.lose_disk()
        await given.settle()
        await given.writes_again()

    live(scenario, replicas=2)


def test_a_good_copy_is_not_taken_out_beside_a_damaged_one():
    """Scaled from 3 to 2 while one that stays is damaged: it is filled again before the third one goes."""

    async def scenario(given):
        await given.submit(paused=True)
        await given.writes_again()
        given.replicas[f"{SHARD}-1"].damage()
        await given.wait_until(lambda: "ReplicaDamaged" in given.conditions())
        assert given.conditions()["ReplicaDamaged"]["reason"] == "Paused"
        await given.submit(replicas=2, paused=False)
        since = now()
        await given.settle()
        await given.writes_again()
        assert given.longest_gap(since) < 3

    live(scenario)


@pytest.mark.parametrize("trouble", ["damage", "lose_disk"])
@pytest.mark.parametrize("replicas", [1, 4])
def test_the_spec_may_change_while_a_member_is_no_copy(trouble, replicas):
    """One that joins does not wait for it for ever, nor it for the other; among leavers it goes first."""

    async def scenario(given):
        await given.writes_again()
        broken = given.replicas[f"{SHARD}-1"]
        broken.crash()
        getattr(broken, trouble)()
        await given.submit(replicas=replicas)
        await given.settle()
        await given.writes_again()

    live(scenario)


def test_the_only_replica_that_is_damaged_waits_for_a_person():
    """Nothing is begun anew over what a person could repair; once its claim is gone, with no rows."""

    async def scenario(given):
        await given.writes_again()
        [only] = given.replicas.values()
        only.damage()
        disk = only.disk
        await given.wait_until(lambda: "ShardLost" in given.conditions())
        told = given.conditions()["ShardLost"]["message"]
        assert f"the data of {only.name} is damaged" in told
        assert "delete the pods and volume claims of the damaged" in told
        assert only.disk == disk
        given.clients.acknowledged.clear()
        only.crash()
        only.lose_disk()
        await given.wait_until(lambda: "accept-loss=none@1" in given.conditions()["ShardLost"]["message"])

    live(scenario, replicas=1)


def test_two_replicas_that_differ_wait_for_a_person():
    """Of two nobody knows which is right: both stay as they are, and the condition says what to do."""

    async def scenario(given):
        one = next(iter(given.replicas.values()))
        one.rotten, disk = 1, one.disk
        await given.wait_until(lambda: "ReplicaDiverged" in given.conditions())
        await asyncio.sleep(30)
        assert one.disk == disk
        assert given.conditions()["ReplicaDiverged"]["reason"] == "NoMajority"

    live(scenario, replicas=2)
