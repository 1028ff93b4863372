"""Thousands of rounds of what `make test` does some of; the seed is new each time, and a failure names it.

SOAK_ROUNDS (3000) and SOAK_SEED (drawn) choose how many and which. The folder of a failure is kept.
"""

import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from crashing import lost_writes, node, recorded, rounds, warm

from vectorfleet_shardnode import files

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "3000"))
SEED = os.environ.get("SOAK_SEED") or str(random.SystemRandom().randrange(1 << 32))
CUTS = 300  # moments of one recorded life
A_LIFE = 250  # rounds in one folder, which goes from small to grown
BOUNDS = {
    "growing_rows": (15, 120, 120, 400, 3_000),
    "log_file_bytes": (9_000, 60_000, 400_000),
    "unindexed_bytes": (1_000, 4_000, 40_000),
    "index_min_rows": (20, 50, 400),
}

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]


@pytest.fixture(scope="module")
def server():
    """What starts the nodes."""
    opened = warm.Server()
    yield opened
    opened.close()


@pytest.fixture
def folder():
    """A folder that stays where it is, should the test fail."""
    made = Path(tempfile.mkdtemp(prefix="vectorfleet-soak-"))
    tell(f"in {made}")
    return made


@pytest.mark.parametrize("life", range(-(-ROUNDS // A_LIFE)))
def test_answered_writes_survive_kill_9(server, folder, life):
    """Every row bit for bit after each round, with bounds of the storage drawn for each folder."""
    seed = f"{SEED}-{life}"
    numbers = random.Random(seed)
    tuning = node.BUSY | {name: numbers.choice(bounds) for name, bounds in BOUNDS.items()}
    count = min(A_LIFE, ROUNDS - life * A_LIFE)

    def progress(done, tally):
        if done % 25 == 0 or done == count:
            answered = sum(tally.answered.values())
            tell(f"seed {seed}: {done} of {count} rounds, {answered} answered writes, {dict(tally.ends)}")

    tell(f"seed {seed}: {tuning}")
    rounds.Rounds(server, folder, seed, **tuning).run(count, progress)
    shutil.rmtree(folder)


@pytest.mark.parametrize("life", range(-(-ROUNDS // CUTS)))
def test_answered_writes_survive_power_cuts(folder, monkeypatch, life):
    """As many moments as rounds: each opens, twice, with every answered row."""
    library = lost_writes.compile_journal(folder)
    monkeypatch.setattr(files, "fsync", lambda _: None)
    seed, recording = f"{SEED}-{life}", recorded.Recorded(folder, library)
    recording.live(random.Random(seed).uniform(0.5, 4), seed)
    for done, wrong in enumerate(recording.cuts(folder, CUTS, seed), 1):
        assert not wrong, f"seed {seed}: {wrong}"
        if done % 100 == 0:
            tell(f"seed {seed}: {done} power cuts")
    shutil.rmtree(folder)


def tell(line):
    """Show progress."""
    sys.stderr.write(f"\n{line}")
    sys.stderr.flush()
