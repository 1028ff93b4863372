"""A lost volume is replaced, and what nobody has a copy of waits for a person."""

import asyncio

import pytest
from replicas.scenarios import SHARD, live


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
        given.clients.acknowledged.clear()  # it is lost for good

    live(scenario)


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
        given.clients.acknowledged.clear()
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
        given.clients.acknowledged.clear()
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/accept-loss": "none@1"})
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
        given.clients.acknowledged.clear()  # nobody has accepted the loss, so nobody leads

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


@pytest.mark.parametrize("filled", [True, False])
def test_a_disk_that_returns_after_its_loss_was_accepted_is_filled_again(filled):
    """It holds what was given up: it begins anew as another disk, and counts nowhere before."""

    async def scenario(given):
        await given.writes_again()
        lead = given.primary()
        survivor, other = (one for one in given.replicas.values() if one is not lead)
        given.cut(lead.name, survivor.name)
        await asyncio.sleep(2)
        old = dict(vars(lead))
        for one in (lead, other):
            one.crash()
            one.lose_disk()
        given.heal()
        await given.wait_until(lambda: "ShardLost" in given.conditions())
        assert old["committed"] > len(survivor.log)
        if not filled:
            given.kill_node(lead.name)
        given.clients.acknowledged.clear()
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/accept-loss": f"{survivor.name}@1"})
        await (given.settle() if filled else given.writes_again())

        lead.put_back(old)
        given.start_node(lead.name)
        await given.wait_until(lambda: lead.up and lead.disk != old["disk"])
        assert old["disk"] not in {one["disk"] for one in given.configuration()["members"]}
        await given.settle()
        await given.writes_again()

    live(scenario)


def test_a_disk_that_returned_is_left_as_it_is_while_the_index_is_paused():
    """A person may want what it holds; it counts nowhere meanwhile."""

    async def scenario(given):
        await given.writes_again()
        lead, *others = given.primary(), *(o for o in given.replicas.values() if o is not given.primary())
        given.cut(lead.name, others[0].name)
        await asyncio.sleep(2)
        old = dict(vars(lead))
        for one in (lead, others[1]):
            one.crash()
            one.lose_disk()
        given.heal()
        await given.wait_until(lambda: "ShardLost" in given.conditions())
        given.clients.acknowledged.clear()
        name = others[0].name
        given.cluster.annotate("VectorShard", SHARD, **{"vectorfleet.io/accept-loss": f"{name}@1"})
        await given.settle()
        await given.submit(paused=True)
        lead.put_back(old)
        await given.wait_until(lambda: lead.diverged)
        await asyncio.sleep(30)
        assert (lead.disk, lead.log) == (old["disk"], old["log"])
        await given.submit(paused=False)
        await given.settle()

    live(scenario)
