"""Scenarios: what happens in a world of its own, and is checked at its end."""

import asyncio

from replicas import loop, world

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


def pick(given, who):
    """Return the primary, or a follower."""
    lead = given.primary()
    return lead if who == "primary" else next(one for one in given.replicas.values() if one is not lead)
