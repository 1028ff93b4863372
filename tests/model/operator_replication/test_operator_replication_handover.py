"""A primary gives its post away for a restart, for a person, or for want of room."""

import asyncio

import pytest
from replicas.scenarios import SHARD, live, now


def test_r19_a_deleted_pod_hands_over_first():
    """A primary that is told to stop serves until another leads: the gap is that of a planned handover."""

    async def scenario(given):
        await given.writes_again()
        old, since = given.primary().name, now()
        given.cluster.terminate(old)
        await given.wait_until(lambda: given.primary().name != old)
        await given.settle()
        assert given.longest_gap(since) < 3
        assert given.configuration()["epoch"] <= 3

    live(scenario)


def test_r19_a_new_image_restarts_one_member_at_a_time():
    """Every pod is made anew, of two shards never two at once, the primary's last, and writes go on."""

    async def scenario(given):
        await given.writes_again()
        old = {name: given.cluster.find("Pod", name)["metadata"]["uid"] for name in given.replicas}
        since, away = now(), 0
        await given.submit(image={"tag": "0.2.0"})

        def is_rolled():
            nonlocal away
            away = max(away, sum(not one.up for one in given.replicas.values()))
            pods = {name: given.cluster.find("Pod", name) for name in given.replicas}
            return all(pod and pod["metadata"]["uid"] != old[name] for name, pod in pods.items())

        await given.wait_until(is_rolled, 300)
        await given.settle()
        assert away == 1
        assert given.longest_gap(since) < 3
        assert all(given.configuration(f"products-g1-s{n}")["epoch"] <= 3 for n in (0, 1))

    live(scenario, shards=2)


def test_r19_a_replica_that_is_too_old_to_catch_up_is_restarted_first():
    """It can't read what the others copy to it until it runs the new image, and they wait for it."""

    async def scenario(given):
        await given.writes_again()
        given.replicas[f"{SHARD}-2"].stuck = True
        await given.wait_until(lambda: "Degraded" in given.conditions())
        await given.submit(image={"tag": "0.2.0"})
        await given.wait_until(lambda: not given.replicas[f"{SHARD}-2"].stuck)
        await given.settle()
        await given.writes_again()

    live(scenario)


def test_r19_replicas_that_are_too_old_to_catch_up_do_not_wait_for_each_other():
    """Of five, two that can't read what the others copy to them: each is behind, and each is restarted."""

    async def scenario(given):
        await given.writes_again()
        behind = [given.replicas[f"{SHARD}-{number}"] for number in (3, 4)]
        for one in behind:
            one.stuck = True
        await given.wait_until(lambda: "Degraded" in given.conditions())
        assert given.conditions()["Degraded"]["reason"] == "ReplicaTooOld"
        assert "can't read what the primary" in given.conditions()["Degraded"]["message"]
        await given.submit(image={"tag": "0.2.0"})
        await given.wait_until(lambda: not any(one.stuck for one in behind))
        await given.settle()
        await given.writes_again()

    live(scenario, replicas=5)


def test_a_primary_that_a_person_names_is_restarted_too():
    """It gives its post away for that, and has it back when no pod is of an older template any more."""

    async def scenario(given):
        await given.writes_again()
        named = given.primary().name
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/primary": named})
        old = {name: given.cluster.find("Pod", name)["metadata"]["uid"] for name in given.replicas}
        await given.submit(image={"tag": "0.2.0"})

        def is_rolled():
            pods = {name: given.cluster.find("Pod", name) for name in given.replicas}
            return all(pod and pod["metadata"]["uid"] != old[name] for name, pod in pods.items())

        await given.wait_until(is_rolled, 300)
        await given.wait_until(lambda: given.primary().name == named)
        assert given.configuration()["epoch"] <= 4

    live(scenario)


def test_a_person_names_the_primary():
    """The annotation on the VectorShard moves the post, by a planned handover."""

    async def scenario(given):
        await given.writes_again()
        since = now()
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/primary": f"{SHARD}-2"})
        await given.wait_until(lambda: given.primary().name == f"{SHARD}-2")
        await given.writes_again()
        assert given.longest_gap(since) < 3

    live(scenario)


def test_a_primary_without_room_hands_over():
    """One that refuses writes for want of room follows one that has some, and does not get the post back."""

    async def scenario(given):
        await given.writes_again()
        full, since = given.primary(), now()
        full.full = True
        await given.wait_until(lambda: given.primary() not in (None, full))
        await given.writes_again()
        assert given.longest_gap(since) < 3
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/primary": full.name})
        await asyncio.sleep(30)
        assert given.primary() is not full, "not even where a person names it"
        assert given.configuration()["epoch"] == 2
        full.full = False
        await given.wait_until(lambda: given.primary() is full)

    live(scenario)


@pytest.mark.parametrize(("replicas", "full"), [(2, 1), (3, 2), (3, 3)])
def test_a_primary_keeps_its_post_where_too_few_have_room(replicas, full):
    """A write needs a quorum with room: where there is none the status says so, and nobody else is tried."""

    async def scenario(given):
        await given.writes_again()
        lead = given.primary()
        others = [one for one in given.replicas.values() if one is not lead]
        for one in (lead, *others)[:full]:
            one.full = True
        await asyncio.sleep(40)
        assert (given.primary(), given.configuration()["epoch"]) == (lead, 1)
        told = given.index_conditions()["Reconciling"]
        assert told["reason"] == "NoRoom"
        assert f"{replicas - full} of {replicas} members have some" in told["message"]
        others[-1].full = False
        for one in (lead, *others)[:full]:
            one.full = False
        await given.writes_again()

    live(scenario, replicas=replicas)


def test_of_two_that_could_lead_the_one_with_room_does():
    """The primary's node dies, and one of the others has no room."""

    async def scenario(given):
        await given.writes_again()
        old = given.primary()
        others = [one for one in given.replicas.values() if one is not old]
        others[0].full = True
        await asyncio.sleep(2)
        given.kill_node(old.name)
        await given.wait_until(lambda: given.primary() not in (None, old))
        await given.wait_until(lambda: given.primary() is others[1])
        given.start_node(old.name)
        await given.settle()

    live(scenario)


@pytest.mark.parametrize("replicas", [2, 3])
def test_a_quorum_whose_disks_take_nothing_is_lost(replicas):
    """Every follower answers and has no room: the status says so, and nobody else is tried."""

    async def scenario(given):
        await given.writes_again()
        lead = given.primary()
        full = [one for one in given.replicas.values() if one is not lead]
        for one in full:
            one.takes_nothing = True
        await given.wait_until(lambda: "QuorumLost" in given.conditions())
        told = given.conditions()["QuorumLost"]
        assert told["reason"] == "TooFewTakeWrites"
        assert f"{full[0].name}: its volume is full" in told["message"]
        await asyncio.sleep(30)
        assert (given.primary(), given.configuration()["epoch"]) == (lead, 1)
        full[0].takes_nothing = False
        await given.writes_again()
        await given.wait_until(lambda: "QuorumLost" not in given.conditions())

    live(scenario, replicas=replicas)


@pytest.mark.parametrize("wanted", [1, 3])
def test_members_change_though_a_full_disk_holds_up_writes(wanted):
    """Another replica with room, or none, is what helps: neither waits for the writes that wait for it."""

    async def scenario(given):
        await given.writes_again()
        lead = given.primary()
        full = next(one for one in given.replicas.values() if one is not lead)
        if full.name.endswith("-0"):
            given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/primary": full.name})
            await given.wait_until(lambda: given.primary() is full)
            full = lead
        full.takes_nothing = True
        await given.wait_until(lambda: "QuorumLost" in given.conditions())
        await given.submit(replicas=wanted)
        await given.writes_again()
        full.takes_nothing = False
        await given.settle()

    live(scenario, replicas=2)
