"""Two hundred thousand simulated schedules on all cores, and a thousand rounds of faults on real processes.

SOAK_SCHEDULES (200000), SOAK_FAULTS (1000) and SOAK_SEED (drawn) choose how many and which. A failure names
its seed; `simulation.world.play(seed)` plays a schedule again.
"""

import gc
import multiprocessing
import os
import pathlib
import random
import shutil
import tempfile

import pytest
from crashing import node, warm
from replicated import rounds
from simulation import world
from soaking import progress

SCHEDULES = int(os.environ.get("SOAK_SCHEDULES", "200000"))
FAULTS = int(os.environ.get("SOAK_FAULTS", "1000"))
SEED = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(1 << 32))
A_BATCH, A_LIFE = 100, 100
BOUNDS = {
    "growing_rows": (40, 300, 5_000),
    "log_file_bytes": (15_000, 60_000, 400_000),
    "log_retained_bytes": (0, 100_000, 64 << 20),
}

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
    gc.collect()
    return len(seeds), acknowledged, changes, broken


def begin():
    """Leave garbage to the end of each batch: looking for it all the time takes a tenth of a process."""
    gc.disable()
    gc.freeze()


def test_no_schedule_breaks_a_promise():
    """All seeds are played, whatever is found, so that each finding is named."""
    batches = [range(n, min(n + A_BATCH, SEED + SCHEDULES)) for n in range(SEED, SEED + SCHEDULES, A_BATCH)]
    done, acknowledged, changes, broken = 0, 0, 0, []
    fork = multiprocessing.get_context("fork")
    with fork.Pool(initializer=begin) as pool, progress.Bar("schedules", SCHEDULES) as bar:
        bar.tell(f"seeds {SEED} to {SEED + SCHEDULES - 1}")
        for count, writes, changed, wrong in pool.imap_unordered(play, batches):
            done, acknowledged, changes = done + count, acknowledged + writes, changes + changed
            broken += wrong
            for seed, what in wrong:
                bar.tell(f"schedule {seed}: {what}")
            bar.reach(
                done,
                f"{acknowledged:,} acknowledged writes, {changes:,} configurations, {len(broken)} broken",
            )
    assert not broken


@pytest.fixture
def server():
    """The process that starts replicas in milliseconds."""
    made = warm.Server()
    yield made
    made.close()


@pytest.mark.parametrize("life", range(-(-FAULTS // A_LIFE)))
def test_answered_writes_survive_what_happens_to_replicas(server, life):
    """Three processes behind a proxy that loses what passes; every answered write is on each of them."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vectorfleet-soak-"))
    seed, count = f"{SEED}-{life}", min(A_LIFE, FAULTS - life * A_LIFE)
    numbers = random.Random(seed)
    tuning = node.BUSY | {name: numbers.choice(bounds) for name, bounds in BOUNDS.items()}
    with progress.Bar("rounds", count) as bar:
        bar.tell(f"seed {seed} in {folder}: {tuning}")
        made = rounds.Rounds(server, folder, seed, **tuning)
        try:
            made.begin().run(count, lambda done, tally: bar.reach(done, f"{tally.writes:,} answered writes"))
        finally:
            made.close()
        bar.tell(f"seed {seed}: {count} rounds, {dict(made.tally.faults)}, {made.tally.epochs} epochs")
    shutil.rmtree(folder)
