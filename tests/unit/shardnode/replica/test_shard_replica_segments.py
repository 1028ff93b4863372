"""Segments and digests of a shard that is one of several replicas."""

from unittest import mock

import numpy as np
from fixtures.replicas import ids_of, leading, settle, ship, upsert

from vectorfleet_shardnode import (
    digests,
    keys,
    operations,
)
from vectorfleet_shardnode.segments import manifest


def test_maintenance_waits_for_no_commit(replica):
    """While nothing is committed a segment is ended, and one that was made takes its place everywhere."""
    served = leading(replica())
    upsert(served, *"abcdef", x=1)
    served.shard.commit(2)
    served.shard.freeze()
    served.shard.write(operations.DeleteIds("", ["a"]))
    upsert(served, "b", x=9)
    settle(served)
    for _ in range(4):
        served.maintenance.step()  # flushes and builds, with two writes that are not committed
    [view] = served.shard.snapshot.sealed
    assert (view.live_rows, view.segment.indexed) == (6, True)
    served.shard.freeze()
    assert served.shard.freezing
    served.maintenance.step()
    served.shard.commit(settle(served))
    assert not served.shard.freezing
    assert ids_of(served) == list("bcdef")
    assert [view.live_rows for view in served.shard.snapshot.sealed] == [4]


def test_a_segment_that_was_installed_outlives_the_office(replica):
    """The state that readers see keeps it, and rows that had died in what is forgotten live in it."""
    served = leading(replica())
    upsert(served, *"abcdef")
    served.shard.commit(2)
    served.shard.freeze()
    served.shard.write(operations.DeleteIds("", ["a"]))
    settle(served)
    for _ in range(4):
        served.maintenance.step()
    served.shard.follow()
    [view] = served.shard.snapshot.sealed
    assert (view.live_rows, ids_of(served)) == (6, list("abcdef"))


def test_a_flush_never_holds_what_is_not_committed(replica, tmp_path):
    """A growing segment that was ended with rows in doubt waits; after that only its committed rows go."""
    served = leading(replica())
    upsert(served, "a", "b")
    served.shard.commit(2)
    upsert(served, "c")
    settle(served)
    served.shard.freeze()
    for _ in range(3):
        served.maintenance.step()
    assert served.shard.snapshot.sealed == ()
    served.shard.follow()
    for _ in range(3):
        served.maintenance.step()
    assert [view.segment.rows for view in served.shard.snapshot.sealed] == [2]
    stored = manifest.read(tmp_path / "a", served.replica.disk)
    assert (stored.covered_seq, stored.durable_seq, stored.covered_epoch) == (2, 2, 1)


def test_digests_are_equal_whatever_the_segments_look_like(replica):
    """One flushes and builds, one doesn't, one came by a restart: the same digests at the same seqs."""
    leader, busy, lazy = leading(replica("a")), replica("b"), replica("c", growing_rows=1_000)
    for number in range(12):
        upsert(leader, f"r{number % 5}", f"s{number}", x=number)
        leader.shard.commit(settle(leader))
        for follower in (busy, lazy):
            ship(leader, follower)
            follower.shard.commit(leader.shard.committed)
        busy.maintenance.step()
        for served in (leader, busy, lazy):
            served.shard.digests.wait()
    assert len(busy.shard.snapshot.sealed) > 0
    assert lazy.shard.snapshot.sealed == ()
    wanted = leader.shard.digests.newest
    assert [digest.seq for digest in wanted] == list(range(6, 14))
    assert busy.shard.digests.newest == lazy.shard.digests.newest == wanted
    assert len({digest.rows for digest in wanted}) == len(wanted)
    busy.close()
    assert digests.of(replica("b").shard.snapshot) == wanted[-1]


def test_a_digest_tells_versions_apart():
    """The same keys of other writes, or one row less, are another digest."""

    def state_of(*seqs):
        view = mock.Mock()
        hashes = np.arange(1, len(seqs) + 1, dtype=np.uint64)
        view.versions.return_value = np.arange(len(seqs)), hashes, np.array(seqs, np.uint64)
        return mock.Mock(parts=[view], epoch=1, seq=9, live_rows=len(seqs))

    folds = [digests.of(state_of(*seqs)).rows for seqs in ((1, 2), (2, 1), (1, 3), (1,), ())]
    assert len(set(folds)) == 5


def test_only_one_digest_is_computed_at_a_time(replica, monkeypatch):
    """What is due meanwhile is left out, and nobody waits for it."""
    served = leading(replica())
    served.shard.digests.wait()
    with served.shard.digests._busy:
        upsert(served, "a")
        served.shard.commit(settle(served))
    assert ids_of(served) == ["a"]
    assert 2 not in [digest.seq for digest in served.shard.digests.newest]


def test_a_state_that_rests_has_a_digest_however_few_records_there_were(replica):
    """Of all replicas the same; none while writes go on, none twice, and none of nothing."""
    few = {"digest_every": 4_096, "digest_rest_seconds": 10.0}
    leader, follower = leading(replica("a", **few)), replica("b", **few)

    def look(now):
        for served in (leader, follower):
            served.shard.digests.look(served.shard.snapshot, now)
            served.shard.digests.wait()

    look(0.0)
    look(20.0)
    assert [one.shard.digests.newest for one in (leader, follower)] == [[], []], "nothing is there yet"
    for number, now in enumerate((21.0, 30.0, 39.0)):
        upsert(leader, f"r{number}")
        leader.shard.commit(settle(leader))
        ship(leader, follower)
        follower.shard.commit(leader.shard.committed)
        look(now)
    look(48.9)
    assert leader.shard.digests.newest == [], "no state stayed for ten seconds"
    for now in (49.1, 60.0, 70.0):
        look(now)
    wanted = [digests.of(leader.shard.snapshot)]
    assert leader.shard.digests.newest == follower.shard.digests.newest == wanted


def test_a_digest_that_takes_long_waits_for_a_longer_rest(replica):
    """It takes a percent of a core at most, whatever the size of the shard and the gaps between writes."""
    served = leading(replica(digest_every=4_096, digest_rest_seconds=10.0))
    served.shard.commit(settle(served))
    served.shard.digests._cost = 0.5
    for now in (0.0, 20.0, 49.9):
        served.shard.digests.look(served.shard.snapshot, now)
    served.shard.digests.wait()
    assert served.shard.digests.newest == []
    served.shard.digests.look(served.shard.snapshot, 50.1)
    served.shard.digests.wait()
    assert [one.seq for one in served.shard.digests.newest] == [1]


def test_rows_keep_the_seq_of_their_write(replica):
    """Through flush, build and merge."""
    served = leading(replica())
    for number in range(6):
        upsert(served, f"a{number}", f"b{number}")
    served.shard.commit(settle(served))
    served.shard.freeze()
    for _ in range(6):
        served.maintenance.step()
    [view] = served.shard.snapshot.sealed
    assert view.segment.indexed
    _, hashes, seqs = view.versions()
    found = dict(zip(hashes.tolist(), seqs.tolist(), strict=True))
    for number in range(6):
        for row_id in (f"a{number}", f"b{number}"):
            assert found[keys.keys_of("", [row_id]).hashes[0]] == number + 2
