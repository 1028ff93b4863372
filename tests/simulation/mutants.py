"""The protocol with one rule left out: what the simulator must notice.

A mutation either changes the core or the operator, or is the name of a rule that simulated replicas leave out
(`DROPPED`).
"""

import dataclasses
import random

from simulation import core_mutants, mutating, operator_mutants, plan

DROPPED = {
    "ack_fsync": "A follower answers before its fsync.",
    "promise_durable": "A promise does not survive a restart.",
    "disk_identity": "A lost disk comes back empty under the old identity.",
    "damage_refused": "A replica whose data is damaged serves what is left of it.",
}
MODULES = (core_mutants, operator_mutants)  # what they change is known once they are imported
DESCRIPTIONS = DROPPED | mutating.DESCRIPTIONS
"""Every mutation, and what it leaves out."""
applied = mutating.applied

EAGER = {
    "operators": 1,
    "poll": 6.0,
    "hasty": True,
    "loss": 0.0,
    "delay": 1.0,
    "patience": 8.0,
    "clients": 8,
    "pause": 8.0,
}
ALONE = EAGER | {"replicas": 3, "members": 3, "trouble": {"alone": 6, "freeze": 2, "hand_over": 4}}
TWO_OPERATORS = EAGER | {
    "replicas": 4,
    "members": 2,
    "operators": 2,
    "operator_crashes": 0.0,
    "trouble": {"crash": 4, "freeze_operator": 8, "alone": 2, "resize": 4},
}
WEATHER = {
    "cas_reserved": TWO_OPERATORS
    | {"trouble": {"crash": 4, "freeze_operator": 8, "alone": 2, "resize": 4, "hand_over": 6}},
    "damage_refused": {"trouble": {"damage": 3, "hand_over": 4, "crash": 2, "alone": 2}},
    "disk_identity": {"trouble": {"lost_disk": 3, "hand_over": 4, "crash": 2, "alone": 2}},
    "given_up": EAGER | {"replicas": 3, "members": 3, "trouble": {"bereave": 4, "give_back": 8}},
    "learn_commit": TWO_OPERATORS,
    "promise_check": ALONE,
    "promise_durable": {"replicas": 3, "members": 3},  # else what contradicts what is committed is refused
    "read_confirm": ALONE,
    "told_early": TWO_OPERATORS,
    "winner_by_epoch": {
        "patience": 8.0,
        "clients": 8,
        "trouble": {"alone": 6, "crash": 1, "hand_over": 2, "freeze": 2},
    },
}
"""Where a storm of all kinds takes long to find a mutation: what it should be made of."""


def plan_for(mutation, seed):
    """Return a plan in which a mutation soon does harm."""
    return dataclasses.replace(plan.storm(random.Random(seed)), **WEATHER.get(mutation, {}))
