"""The operator and its replicas in virtual time: who leads, who is a member, and that nothing is lost."""

import asyncio
from unittest import mock

import pytest
from replicas import loop, replica, world

from vectorfleet_operator import replication

SHARD = "products-g1-s0"


def live(scenario, seed=1, operators=1, **spec):
    """Run a scenario in a world of its own, and check what clients were promised at its end."""

    async def run():
        given = world.World(seed, **spec)
        async with given.living(operators):
            await given.settle()
            await scenario(given)
            given.check()
        return given

    return loop.run(run())


def now():
    """Virtual time, in seconds."""
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("replicas", [1, 2, 3, 5])
def test_a_new_shard_begins(replicas):
    """All replicas are members from the first epoch on, and writes are acknowledged."""

    async def scenario(given):
        await given.writes_again()
        found = given.configuration()
        assert (found["epoch"], found["writeQuorum"]) == (1, replicas // 2 + 1)
        assert len(found["members"]) == replicas

    live(scenario, replicas=replicas)


def test_a_dead_node_is_survived_within_ten_seconds():
    """The primary's machine stops and Kubernetes says nothing: another one takes writes within 10 s."""

    async def scenario(given):
        await given.writes_again()
        old = given.primary().name
        given.kill_node(old)
        assert await given.writes_again() < 10
        assert given.primary().name != old
        assert given.configuration()["epoch"] == 2
        given.start_node(old)
        await given.settle()
        assert given.configuration()["epoch"] == 2, "it comes back as what it is: a member"

    live(scenario)


def test_a_process_that_starts_anew_keeps_its_post():
    """A primary whose process is killed and is back in two seconds goes on in the same epoch."""

    async def scenario(given):
        old = given.primary()
        old.crash()
        await given.writes_again()
        assert given.primary() is old
        assert given.configuration()["epoch"] == 1

    live(scenario)


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


@pytest.mark.parametrize("replicas", [2, 3])
@pytest.mark.parametrize("who", ["primary", "follower"])
def test_a_lost_volume_is_replaced(replicas, who):
    """A replica that comes back with an empty volume is another member, and is filled again."""

    async def scenario(given):
        await given.writes_again()
        lead = given.primary()
        victim = lead if who == "primary" else next(o for o in given.replicas.values() if o is not lead)
        disk = victim.disk
        victim.crash()
        victim.lose_disk()
        await given.settle()
        assert disk not in {one["disk"] for one in given.configuration()["members"]}
        await given.writes_again()

    live(scenario, replicas=replicas)


@pytest.mark.parametrize("ahead", [1, 5])
def test_a_learner_that_promised_a_newer_epoch_becomes_a_member(ahead):
    """As after a change that failed: it takes nothing of an older epoch, so a newer one has to come."""

    async def scenario(given):
        await given.writes_again()
        victim = next(one for one in given.replicas.values() if one is not given.primary())
        victim.crash()
        victim.lose_disk()
        victim.promised = given.configuration()["epoch"] + ahead
        since = asyncio.get_running_loop().time()
        await given.settle()
        assert given.longest_gap(since) < 10
        await given.writes_again()

    live(scenario)


def test_the_survivor_that_a_person_names_must_hold_something():
    """A new disk that was told the configuration holds nothing all the same."""

    async def scenario(given):
        await given.writes_again()
        for one in given.replicas.values():
            one.crash()
            one.lose_disk()
        await given.wait_until(lambda: all(one.configuration for one in given.replicas.values()))
        name = next(iter(given.replicas))
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/accept-loss": f"{name}@1"})
        await asyncio.sleep(30)
        assert given.configuration()["epoch"] == 1
        assert "holds nothing" in given.conditions()["ShardLost"]["message"]
        given.acknowledged.clear()  # it is lost for good

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


def test_r18_too_many_lost_volumes_wait_for_a_person():
    """With two of three volumes gone nothing is promoted and nothing begun; a word of a person goes on."""

    async def scenario(given):
        await given.writes_again()
        lead = given.primary()
        others = [one for one in given.replicas.values() if one is not lead]
        for one in (lead, others[0]):
            one.crash()
            one.lose_disk()
        await given.wait_until(lambda: "ShardLost" in given.conditions())
        await asyncio.sleep(30)
        assert given.configuration()["epoch"] == 1
        assert given.index_conditions()["Stalled"]["reason"] == "ShardLost"
        survivor = others[1].name
        assert f"vectorfleet.io/accept-loss={survivor}@1" in given.conditions()["ShardLost"]["message"]

        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/accept-loss": f"{survivor}@7"})
        await asyncio.sleep(30)
        assert given.configuration()["epoch"] == 1, "it names another epoch"
        given.acknowledged.clear()
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/accept-loss": f"{survivor}@1"})
        await given.settle()
        assert "ShardLost" not in given.conditions()

    live(scenario)


def test_r18_a_shard_that_lost_everything_begins_anew_only_when_told():
    """All volumes are gone: the shard is never empty by itself."""

    async def scenario(given):
        await given.writes_again()
        for one in given.replicas.values():
            one.crash()
            one.lose_disk()
        await given.wait_until(lambda: "ShardLost" in given.conditions())
        await asyncio.sleep(60)
        assert not any(one.log for one in given.replicas.values())
        given.acknowledged.clear()
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/accept-loss": "none@1"})
        await given.settle()

    live(scenario)


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


def test_a_primary_that_only_the_operator_misses_keeps_its_post():
    """The operator can't reach the primary, its followers can: nobody is promoted, writes go on."""

    async def scenario(given):
        await given.writes_again()
        given.cut("operator", given.primary().name)
        await asyncio.sleep(60)
        assert given.configuration()["epoch"] == 1
        assert given.longest_gap(now() - 60) < 1
        given.heal()

    live(scenario)


def test_a_primary_that_is_cut_off_from_its_followers_is_replaced():
    """The operator reaches all, the primary nobody: another member takes writes, the old one follows."""

    async def scenario(given):
        await given.writes_again()
        old = given.primary().name
        for other in given.replicas:
            if other != old:
                given.cut(old, other)
        assert await given.writes_again() < 10
        assert given.primary().name != old
        given.heal()
        await given.settle()
        assert given.configuration()["epoch"] <= 3

    live(scenario)


def test_a_primary_cut_off_from_everybody_is_replaced():
    """A partition of the primary's node: the rest goes on without it."""

    async def scenario(given):
        await given.writes_again()
        old = given.primary().name
        for other in (*given.replicas, "operator"):
            given.cut(old, other)
        assert await given.writes_again() < 10
        given.heal()
        await given.settle()

    live(scenario)


def test_a_lost_quorum_changes_nothing():
    """Two of three members are away: no epoch is spent; writes go on when one is back."""

    async def scenario(given):
        await given.writes_again()
        lead = given.primary().name
        for name in given.replicas:
            if name != lead:
                given.kill_node(name)
        await given.wait_until(lambda: "QuorumLost" in given.conditions())
        await asyncio.sleep(60)
        assert given.configuration()["epoch"] == 1
        assert given.cluster.find("VectorShard", SHARD)["status"]["reserved"] == 1
        for name in list(given.dead_nodes):
            given.start_node(name)
        await given.settle()
        assert "QuorumLost" not in given.conditions() or await given.writes_again()

    live(scenario)


def test_r22_writes_go_on_without_the_api_server():
    """The API server is away for a minute: nothing changes, and a failover waits for it."""

    async def scenario(given):
        await given.writes_again()
        given.cluster.away, since = True, now()
        await asyncio.sleep(60)
        assert given.longest_gap(since) < 1
        given.kill_node(given.primary().name)
        await asyncio.sleep(20)
        given.cluster.away = False
        assert await given.writes_again() < 10

    live(scenario)


def test_r21_writes_go_on_without_the_operator():
    """The operator is away while the primary dies; the one that follows it promotes another."""

    async def scenario(given):
        await given.writes_again()
        since = now()
        await given.kill_operator()
        await asyncio.sleep(30)
        assert given.longest_gap(since) < 1
        given.kill_node(given.primary().name)
        await asyncio.sleep(30)
        given.start_operator()
        assert await given.writes_again() < 10

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


def pick(given, who):
    """Return the primary, or a follower."""
    lead = given.primary()
    return lead if who == "primary" else next(one for one in given.replicas.values() if one is not lead)


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


def test_a_silent_member_is_not_named_as_a_survivor():
    """Two volumes are gone, and of the third nothing is known: it is offered once it answers."""

    async def scenario(given):
        await given.writes_again()
        silent, *gone = (given.replicas[f"{SHARD}-{number}"] for number in (2, 0, 1))
        given.kill_node(silent.name)
        for one in gone:
            one.crash()
            one.lose_disk()
        await given.wait_until(
            lambda: "does not answer" in given.conditions().get("ShardLost", {}).get("message", "")
        )
        told = given.conditions()["ShardLost"]["message"]
        assert f"the disks of {', '.join(one.name for one in gone)} are gone" in told
        assert f"{silent.name} does not answer, and whether it has its disk is not known" in told
        assert f"Bring {silent.name} back" in told
        assert "accept-loss=" not in told
        given.start_node(silent.name)
        await given.wait_until(lambda: "accept-loss=" in given.conditions()["ShardLost"]["message"])
        told = given.conditions()["ShardLost"]["message"]
        assert f"{silent.name} answers and has its disk" in told
        assert f"accept-loss={silent.name}@1" in told
        given.acknowledged.clear()  # nobody has accepted the loss, so nobody leads

    live(scenario)


def test_the_most_advanced_survivor_is_offered():
    """Of five three volumes are gone: of the two that answer, the one with the longer log is named."""

    async def scenario(given):
        await given.writes_again()
        lead = given.primary()
        behind, *gone = (one for one in given.replicas.values() if one is not lead)
        given.cut(lead.name, behind.name)
        await asyncio.sleep(2)
        for one in gone:
            one.crash()
            one.lose_disk()
        await given.wait_until(lambda: "ShardLost" in given.conditions())
        assert f"accept-loss={lead.name}@1" in given.conditions()["ShardLost"]["message"]
        assert lead.last > behind.last

    live(scenario, replicas=5)


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
        given.acknowledged.clear()
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


def test_a_flapping_primary_causes_no_storm():
    """A primary whose network comes and goes for ten minutes: a bounded number of promotions."""

    async def scenario(given):
        for _ in range(30):
            lead = given.primary().name
            for other in (*given.replicas, "operator"):
                given.cut(lead, other)
            await asyncio.sleep(10)
            given.heal()
            await asyncio.sleep(10)
        assert given.configuration()["epoch"] <= 31
        await given.settle()
        await given.writes_again()

    live(scenario)
