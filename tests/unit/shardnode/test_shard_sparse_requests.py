"""Sparse values that are sent: what is none is refused, an update changes, removes or keeps them."""

import numpy as np
import pytest
from fixtures.sparse_rows import SHAPE, column_of, opened, pairs_of, put

from vectorfleet_shardnode import errors, operations, shape
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.multivector import question as questions


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (put(["a"], [1], [(1, np.nan)]), "sparse value 0 is NaN"),
        (put(["a"], [2], [(1, 1), (1, 2)]), "sparse index 1 comes twice"),
        (put(["a", "b"], [1], [(1, 1)]), "1 counts for 2 rows"),
        (put(["a"], [2], [(1, 1)]), "counts add up to 2"),
        (put(["a"], [1], [(1, 1)], indices=b"\0\0\0"), "3 bytes of indices"),
        (put(["a"], [2_049], [(index, 1) for index in range(2_049)]), "2049 sparse values; at most 2048"),
    ],
)
def test_what_is_no_sparse_vector_is_refused(request_, said):
    """With what would be right; nothing is written."""
    with pytest.raises(errors.BadRequestError, match=said):
        operations.parse(request_, SHAPE)


def test_other_metrics_refuse_sparse_values():
    """They have no meaning beside a cosine or a distance."""
    for metric in (config.Metric.COSINE, config.Metric.EUCLIDEAN):
        with pytest.raises(errors.BadRequestError, match="sparse values need the metric dotproduct"):
            operations.parse(put(["a"], [1], [(1, 1)]), shape.Shape(metric, 4))


def test_the_same_index_in_two_rows_is_no_repetition_and_the_last_of_an_id_counts():
    """Rows have their own indices."""
    parsed = operations.parse(put(["a", "b", "a"], [1, 1, 2], [(1, 1), (1, 2), (1, 3), (2, 4)]), SHAPE)
    assert parsed.rows.ids == ["a", "b"]
    assert parsed.rows.sparse.items["value"].tolist() == [3, 4, 2]


def test_an_update_changes_removes_or_keeps_sparse_values(tmp_path):
    """A count of 0 removes; what is not named stays."""
    served = opened(tmp_path)

    def update(*pairs, counts=None, **changes):
        held = put(["a"], counts or [len(pairs)], pairs).upsert.rows.fields
        sent = shard_pb2.Update(id="a", fields=held if pairs or counts else [], **changes)
        return served.shard.write(
            operations.parse(shard_pb2.WriteRequest(update=sent), served.shard.shape)
        ).result(10)

    served.shard.write(operations.parse(put(["a"], [1], [(5, 1)]), served.shard.shape)).result(10)
    update((9, 2), (3, 1))
    changed = column_of({9: 2, 3: 1}).items.tobytes()
    assert pairs_of(served, "a") == [changed]
    update(merge_metadata=b'{"k": 1}')
    assert pairs_of(served, "a") == [changed]
    update(counts=[0])
    assert pairs_of(served, "a") == [b""]
    served.close()


def asking(*pairs, weight=1.0, field=config.SPARSE):
    """Return a part of a query."""
    values = np.array([value for _, value in pairs], "<f4").tobytes()
    indices = np.array([index for index, _ in pairs], "<u4").tobytes()
    return shard_pb2.QueryPart(field=field, vectors=values, indices=indices, weight=weight)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([asking()], "0 sparse values; 1 to 2048"),
        ([asking((1, 1)), asking((2, 1))], "2 parts are of sparse values"),
        ([asking((1, 1), (1, 2))], "comes twice"),
        ([asking((1, np.inf))], "infinite"),
        ([asking((1, 1), weight=0)], "weight"),
        ([asking(*((index, 1) for index in range(2_049)))], "2049 sparse values"),
    ],
)
def test_a_query_that_is_none_is_refused(parts, said):
    """With what would be right."""
    with pytest.raises(errors.BadRequestError, match=said):
        questions.parse_sparse(parts, SHAPE)
