"""Whoever stops or is cut off is survived, and what need not be changed stays as it is."""

import asyncio

from replicas.scenarios import SHARD, live, now


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
