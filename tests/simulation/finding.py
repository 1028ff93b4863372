"""How many schedules it takes until one notices a rule that is left out."""

from simulation import mutants, promises, world

from vectorfleet_shardnode.replication import protocol

NOTICED = (promises.BrokenPromiseError, protocol.ProtocolError, ValueError, LookupError)


def schedules_until_found(mutation, most, first=0):
    """Return how many schedules, from the seed `first` on, it takes until one breaks a promise.

    None where none of `most` does.
    """
    for seed in range(first, first + most):
        with mutants.applied(mutation) as dropped:
            try:
                world.play(seed, mutants.plan_for(mutation, seed), dropped)
            except NOTICED:
                return seed - first + 1
    return None
