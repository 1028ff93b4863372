"""The simulator notices a replica, or an operator, that leaves out one rule of the protocol."""

import pytest
from simulation import mutants, promises, world

from vectorfleet_shardnode.replication import protocol

USUAL = 500  # schedules; docs/testing.md says how many each took
NOTICED = (promises.BrokenPromiseError, protocol.ProtocolError, ValueError, LookupError)


def schedules_until_found(mutation, most):
    """Return how many schedules it takes until one breaks a promise, None where none does."""
    for seed in range(most):
        with mutants.applied(mutation) as dropped:
            try:
                world.play(seed, mutants.plan_for(mutation, seed), dropped)
            except NOTICED:
                return seed + 1
    return None


@pytest.mark.parametrize("mutation", mutants.DESCRIPTIONS)
def test_r34_each_rule_that_is_left_out_is_noticed(mutation):
    """A schedule in its weather breaks a promise, or leaves the core in a state that can't be."""
    assert schedules_until_found(mutation, USUAL) is not None


@pytest.mark.parametrize("mutation", mutants.WEATHER)
def test_no_weather_breaks_the_whole_protocol(mutation):
    """What was found is the mutation's doing: the same schedules pass with all rules."""
    for seed in range(30):
        world.play(seed, mutants.plan_for(mutation, seed))
