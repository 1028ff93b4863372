"""Any records of a shard, drawn."""

import dataclasses

import numpy as np
from fuzzing.inputs import rubbish, texts
from hypothesis import strategies as st

from vectorfleet_shardnode import (
    ragged,
    records,
    sparse,
)

shapes = st.tuples(st.integers(0, 4), st.sampled_from([3, 3, 3, 0, 2]))
vectors = shapes.map(lambda shape: np.ones(shape, np.float32))
puts = st.builds(
    lambda namespace, matrix, data: records.Put(
        namespace,
        records.Rows([f"é{row}" for row in range(len(matrix))], matrix, [data] * len(matrix)),
    ),
    texts,
    vectors,
    rubbish | st.just(b""),
)
ragged_columns = st.lists(st.integers(0, 3), min_size=4, max_size=4).map(
    lambda counts: ragged.of_counts(np.array(counts, np.int64), np.ones((sum(counts), 2), np.float32))
)
puts_with_fields = st.builds(
    lambda namespace, columns: records.Put(
        namespace,
        records.Rows(
            [f"{row}" for row in range(4)],
            np.ones((4, 3), np.float32),
            [b""] * 4,
            columns,
        ),
    ),
    texts,
    st.dictionaries(texts, ragged_columns, max_size=3),
)
sparse_columns = st.lists(st.integers(0, 3), min_size=4, max_size=4).map(
    lambda counts: ragged.of_counts(
        np.array(counts, np.int64), sparse.pairs_of(np.arange(sum(counts)), np.ones(sum(counts)))
    )
)
puts_with_sparse_values = st.builds(
    lambda put, column: records.Put(put.namespace, dataclasses.replace(put.rows, sparse=column)),
    puts_with_fields,
    sparse_columns,
)
removes = st.builds(records.Remove, texts, st.lists(texts, max_size=5))
every_record = puts | puts_with_fields | puts_with_sparse_values | removes | st.builds(records.Clear, texts)


def raw(record):
    """Return a record's op and payload."""
    op, payload = records.encode(record)
    return op, b"".join(payload)
