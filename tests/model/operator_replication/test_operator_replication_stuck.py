"""Replicas that can't go on until a restart: the operator restarts them, and another one leads meanwhile."""

import asyncio

import pytest
from replicas.scenarios import live, now, pick


@pytest.mark.parametrize("who", ["primary", "follower"])
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_replica_that_is_stuck_is_restarted(who, replicas):
    """Whoever it is; of three writes go on within seconds, and the same disk is a member again."""

    async def scenario(given):
        await given.writes_again()
        stuck, since = pick(given, who), now()
        disk, stuck.broken = stuck.disk, True
        await given.wait_until(lambda: not stuck.broken)
        await given.settle()
        await given.writes_again()
        assert given.longest_gap(since) < (10 if replicas == 3 else 30)
        assert stuck.disk == disk
        await given.wait_until(lambda: "Degraded" not in given.conditions())

    if (who, replicas) != ("follower", 1):
        live(scenario, replicas=replicas)


def test_a_replica_that_no_restart_helps_is_restarted_ever_more_seldom():
    """Its disk is bad: it is stuck again each time, and the others are not disturbed by it."""

    async def scenario(given):
        await given.writes_again()
        bad, since, starts = pick(given, "follower"), now(), []
        start = bad.start

        def fail(at):
            start(at)
            bad.broken = True
            starts.append(at)

        bad.start, bad.broken = fail, True
        await asyncio.sleep(600)
        assert given.longest_gap(since) < 10
        assert 4 <= len(starts) <= 8, starts
        assert "ReplicaStuck" in given.conditions()["Degraded"]["reason"]
        bad.start = start
        await given.wait_until(lambda: not bad.broken, 700)
        await given.settle()

    live(scenario, replicas=3)
