"""Faults of all kinds under writes and reads, round after round: what was answered is so, everywhere."""

import itertools
import pathlib

import pytest
from crashing import cold, node
from replicated import broken_replica, making, readers, rounds, router

from vectorfleet_shardnode.api import config

TUNINGS = {
    "busy": {"log_retained_bytes": 64 << 20},
    "short logs": {"growing_rows": 40, "log_file_bytes": 15_000},
    "long logs": {"growing_rows": 5_000, "log_file_bytes": 400_000, "log_retained_bytes": 64 << 20},
}
ROUNDS = {"busy": 40, "short logs": 40, "long logs": 20}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("tuned", TUNINGS)
def test_answered_writes_survive_what_happens_to_replicas(server, tmp_path, tuned):
    """100 rounds in all: killed, stopped, cut off, slow, handed over; nothing is lost, and none differs.

    Nor does a replica ever show less than a read demands, its own writes or all that was acknowledged.
    """
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
    for kind, what in itertools.product((readers.OWN, readers.STRONG, readers.ANY), ("answered", "refused")):
        assert tally.reads[kind, what] or (kind, what) == (readers.ANY, "refused"), tally


@pytest.mark.parametrize("way", broken_replica.WAYS)
def test_r34_a_replica_that_answers_from_too_old_a_state_is_noticed(tmp_path, way):
    """A demand that is not heeded is found by these readers, and in a whole group they find nothing."""
    server = cold.Server(program=(str(pathlib.Path(broken_replica.__file__)), way))
    try:
        with making.groups(server, tmp_path) as make:
            assert "rows of no state" in str(_read_until_wrong(make(metric=config.Metric.DOTPRODUCT)))
    finally:
        server.close()


def _read_until_wrong(group):
    """Write and read while links are slow, and return what was found wrong."""
    for link in group.network.links.values():
        link.delay = 0.02  # a follower hears of a commit that much later than the client
    writer = readers.Writer(0, None, {}, "writer")
    writer.stub = router.Router(group.stubs, writer.stopping)
    reader = readers.Reader(group.stubs, [writer], "reader")
    writer.start()
    reader.start()
    group.wait_for(lambda: reader.failure is not None)
    writer.stopping.set()
    writer.join(30)
    reader.join(30)
    return reader.failure
