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
    operators: int = 1
    delay: float = 2.0
    loss: float = 0.0
    repeats: float = 0.0
    fsync: float = 3.0
    operator_crashes: float = 0.0
    conflicts: float = 0.0  # how often somebody else writes the configuration's object
    trouble: dict = dataclasses.field(default_factory=dict)  # kind -> weight
    pause: float = 60.0  # between two troubles, on average
    length: float = 1500.0


def drawn(rng: random.Random) -> Plan:
    """Draw a plan; many have few kinds of trouble, so that those combine often."""
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
        delay=rng.choice((1.0, 2.0, 6.0)),
        loss=rng.choice((0.0, 0.0, 0.02, 0.15)),
        repeats=rng.choice((0.0, 0.0, 0.05, 0.3)),
        fsync=rng.choice((0.5, 3.0, 12.0, 30.0)),
        operator_crashes=rng.choice((0.0, 0.0, 0.1, 0.3)),
        conflicts=rng.choice((0.0, 0.0, 0.2)),
        trouble={kind: 6 ** rng.uniform(-1, 1) for kind in chosen},
        pause=rng.choice((10.0, 25.0, 60.0, 120.0)),
    )
