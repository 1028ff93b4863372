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
