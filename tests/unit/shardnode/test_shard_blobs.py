"""Strings of a column by row: the same values whether they are read from its buffers or by Arrow."""

import numpy as np
import pyarrow as pa
import pytest

from vectorfleet_shardnode.segments import blobs

TEXTS = [f"id-{number}" * (number % 4) + "é" for number in range(300)]


@pytest.mark.parametrize("count", [0, 1, blobs.FEW, blobs.FEW + 1, 300])
def test_few_and_many_rows_give_the_values_of_the_column(count: int) -> None:
    """In the order asked, repeated where they are asked twice, text and binary alike."""
    rows = np.random.default_rng(count).integers(300, size=count)
    wanted = [TEXTS[row] for row in rows]
    assert blobs.Blobs(pa.array(TEXTS, pa.large_string())).take(rows) == wanted
    contents = [text.encode() for text in TEXTS]
    assert blobs.Blobs(pa.array(contents, pa.large_binary())).take(rows) == [one.encode() for one in wanted]


def test_a_range_gives_its_rows() -> None:
    """From the first to the last but one."""
    column = blobs.Blobs(pa.array(TEXTS, pa.large_string()))
    assert column.take(range(7, 200)) == TEXTS[7:200]
    assert column.one(7) == TEXTS[7]


def test_a_piece_of_a_column_is_read_from_its_own_start() -> None:
    """What stands before it in the same buffers is not its."""
    column = blobs.Blobs(pa.array(TEXTS, pa.large_string()).slice(100, 50))
    assert column.take(np.array([0, 49])) == [TEXTS[100], TEXTS[149]]
    assert column.one(49) == TEXTS[149]


def test_a_column_of_nothing_but_empty_values_has_no_data() -> None:
    """Arrow may leave the buffer out."""
    column = blobs.Blobs(pa.array([b"", b""], pa.large_binary()))
    assert column.take(np.array([1, 0])) == [b"", b""]
    assert column.one(1) == b""
