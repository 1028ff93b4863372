"""Placement of ids on shards: part of the stored format."""

from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_shardnode.api import placement

ids = st.text(min_size=1, max_size=40)


def test_hash_is_the_released_one():
    """The hash never changes: rows are where these values say."""
    assert placement.hash_id("", "a") == 0x892B8DFD07CB7C54
    assert [placement.shard_of("ns", f"id-{n}", 4) for n in range(8)] == [2, 2, 2, 2, 0, 2, 0, 0]


@given(ids, ids, st.integers(1, 256))
def test_every_id_has_a_shard(namespace, row_id, shards):
    """The number is always within 0 to shards - 1."""
    assert 0 <= placement.shard_of(namespace, row_id, shards) < shards


@given(ids, ids, st.integers(1, 64))
def test_doubling_splits_each_shard(namespace, row_id, shards):
    """With twice the shards, shard n's rows are in 2n and 2n + 1."""
    assert placement.shard_of(namespace, row_id, 2 * shards) // 2 == placement.shard_of(
        namespace, row_id, shards
    )


def test_namespace_and_id_do_not_run_together():
    """(a, bc) and (ab, c) are different keys."""
    assert placement.hash_id("a", "bc") != placement.hash_id("ab", "c")


def test_rows_are_spread_evenly():
    """10,000 ids over 4 shards: each holds a quarter, give or take a tenth of it."""
    counts = [0] * 4
    for n in range(10_000):
        counts[placement.shard_of("", str(n), 4)] += 1

    assert max(counts) < 2_750
    assert min(counts) > 2_250
