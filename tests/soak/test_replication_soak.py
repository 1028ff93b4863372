"""Two hundred thousand schedules of the replication simulator, in as many processes as there are cores.

SOAK_SCHEDULES (200000) and SOAK_SEED (drawn) choose how many and which; a failure names its seed, and
`simulation.world.play(seed)` plays it again.
"""

import concurrent.futures
import multiprocessing
import os
import random
import sys
import time

import pytest
from simulation import world

SCHEDULES = int(os.environ.get("SOAK_SCHEDULES", "200000"))
SEED = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(1 << 32))
A_BATCH = 500

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]


def play(seeds):
    """Play a batch; returns what was done, and (seed, what was wrong) of each that broke a promise."""
    acknowledged, changes, broken = 0, 0, []
    for seed in seeds:
        try:
            played = world.play(seed)
        except Exception as wrong:  # noqa: BLE001 (whatever it is, the seed is what matters)
            broken.append((seed, f"{type(wrong).__name__}: {wrong}"))
        else:
            acknowledged += played.promises.acknowledged
            changes += played.register.changes
    return acknowledged, changes, broken


def test_no_schedule_breaks_a_promise():
    """All seeds are played, whatever is found, so that each finding is named."""
    tell(f"seeds {SEED} to {SEED + SCHEDULES - 1}")
    batches = [range(n, min(n + A_BATCH, SEED + SCHEDULES)) for n in range(SEED, SEED + SCHEDULES, A_BATCH)]
    began, done, acknowledged, changes, broken = time.monotonic(), 0, 0, 0, []
    with concurrent.futures.ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        for batch, (writes, changed, wrong) in zip(batches, pool.map(play, batches), strict=True):
            done, acknowledged, changes = done + len(batch), acknowledged + writes, changes + changed
            broken += wrong
            for seed, what in wrong:
                tell(f"schedule {seed}: {what}")
            tell(
                f"{done} of {SCHEDULES} schedules, {acknowledged} acknowledged writes, {changes} "
                f"configurations, {len(broken)} broken, {time.monotonic() - began:.0f} s"
            )
    assert not broken


def tell(line):
    """Show progress."""
    sys.stderr.write(f"\n{line}")
    sys.stderr.flush()
