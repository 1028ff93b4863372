"""Faults of all kinds under mixed writes, round after round: every answered write is on every replica."""

import pytest
from crashing import node
from replicated import rounds

TUNINGS = {
    "busy": {"log_retained_bytes": 64 << 20},
    "short logs": {"growing_rows": 40, "log_file_bytes": 15_000},
    "long logs": {"growing_rows": 5_000, "log_file_bytes": 400_000, "log_retained_bytes": 64 << 20},
}
ROUNDS = {"busy": 40, "short logs": 40, "long logs": 20}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("tuned", TUNINGS)
def test_answered_writes_survive_what_happens_to_replicas(server, tmp_path, tuned):
    """100 rounds in all: killed, stopped, cut off, slow, handed over; nothing is lost, and none differs."""
    life = rounds.Rounds(server, tmp_path, f"rounds {tuned}", **node.BUSY | TUNINGS[tuned])
    try:
        life.begin().run(ROUNDS[tuned])
    finally:
        life.close()
    tally = life.tally
    assert tally.epochs > 3, tally
    assert len(tally.faults) > 6, tally
    assert {"upsert", "update values", "merge metadata", "delete ids"} <= set(tally.answered), tally
    assert tally.tries > tally.writes, tally
