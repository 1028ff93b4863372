"""What a schedule is made of, drawn from its seed: sizes, speeds, and which troubles come how often."""

import dataclasses
import random

from simulation import troubles


@dataclasses.dataclass
class Plan:
    """One schedule, before anything happens."""

    replicas: int = 3  # that there are
    members: int = 3  # in the first configuration
    every: bool = False  # W is all
    clients: int = 3
    keys: int = 2
    patience: float = 30.0  # of clients, with one call
    operators: int = 1
    poll: float = 15.0  # between two passes of an operator
    hasty: bool = False  # operators never rest between changes
    delay: float = 2.0
    loss: float = 0.0
    repeats: float = 0.0
    fsync: float = 3.0
    operator_crashes: float = 0.0
    retention: float = 0.0  # how likely a replica trims its log when it learns that more is committed
    conflicts: float = 0.0  # how often somebody else writes the configuration's object
    begins_well: bool = True  # there is no trouble before the first configuration
    trouble: dict = dataclasses.field(default_factory=dict)  # kind -> weight
    pause: float = 60.0  # between two troubles, on average
    length: float = 1000.0


def drawn(rng: random.Random) -> Plan:
    """Draw a plan; many have few kinds of trouble, so that those combine often, and many are storms."""
    if rng.random() < 0.5:
        return storm(rng)
    members = rng.choice((3, 3, 3, 2, 2, 1))
    kinds = list(troubles.KINDS)
    chosen = rng.sample(kinds, rng.choice((1, 2, 3, 4, len(kinds))))
    return Plan(
        replicas=max(members, rng.choice((3, 3, 4))) if rng.random() < 0.8 else members,
        members=members,
        every=rng.random() < 0.12,
        clients=rng.choice((2, 3, 5)),
        keys=rng.choice((1, 2, 4)),
        operators=rng.choice((1, 1, 2)),
        poll=rng.choice((12.0, 24.0)),
        hasty=rng.random() < 0.5,
        delay=rng.choice((1.0, 2.0, 6.0)),
        loss=rng.choice((0.0, 0.0, 0.02, 0.15)),
        repeats=rng.choice((0.0, 0.0, 0.05, 0.3)),
        fsync=rng.choice((0.5, 3.0, 12.0, 30.0)),
        operator_crashes=rng.choice((0.0, 0.0, 0.1, 0.3)),
        retention=rng.choice((0.0, 0.0, 0.05, 0.3)),
        conflicts=rng.choice((0.0, 0.0, 0.2)),
        begins_well=rng.random() < 0.9,
        trouble={kind: 6 ** rng.uniform(-1, 1) for kind in chosen},
        pause=rng.choice((10.0, 20.0, 40.0, 80.0)),
    )


BEREFT = {"bereave": 3, "give_back": 4, "crash": 3, "alone": 2, "freeze": 1, "hand_over": 2, "trim": 2}


def bereft(rng: random.Random) -> Plan:
    """Draw a storm in which disks are lost that a person gives up, and come back."""
    trouble = {kind: weight * 3 ** rng.uniform(-1, 1) for kind, weight in BEREFT.items()}
    return dataclasses.replace(storm(rng), replicas=3, members=3, trouble=trouble)


STORM = {
    "crash": 2,
    "crash_soon": 1,
    "power": 2,
    "freeze": 1,
    "partition": 2,
    "alone": 3,
    "slow_disk": 1,
    "slow_link": 1,
    "trim": 1,
    "hand_over": 6,
    "resize": 2,
    "operator": 1,
    "freeze_operator": 1,
    "evict": 1,
    "roll": 0.3,
}


def storm(rng: random.Random) -> Plan:
    """Draw a plan of many changes under many writes, with all that makes them go wrong."""
    members = rng.choice((3, 3, 2))
    return Plan(
        replicas=rng.choice((members, members + 1)),
        members=members,
        clients=5,
        keys=2,
        patience=rng.choice((8.0, 30.0)),
        operators=rng.choice((1, 2)),
        poll=rng.choice((12.0, 24.0)),
        hasty=rng.random() < 0.7,
        delay=rng.choice((1.0, 3.0)),
        loss=rng.choice((0.0, 0.05)),
        repeats=rng.choice((0.0, 0.1)),
        fsync=rng.choice((3.0, 10.0)),
        operator_crashes=rng.choice((0.0, 0.1)),
        retention=rng.choice((0.0, 0.2)),
        trouble={kind: weight * 3 ** rng.uniform(-1, 1) for kind, weight in STORM.items()},
        pause=rng.choice((8.0, 15.0, 30.0)),
        length=700.0,
    )
