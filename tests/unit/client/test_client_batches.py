"""Rows into batches, which of them may fly together, and the tally."""

import json

import hypothesis
import pytest
from hypothesis import strategies

from vectorfleet import batches, errors, results


def ids_of(items):
    """Return the ids of batches and failures."""
    return [item.ids for item in items]


@hypothesis.given(
    strategies.lists(strategies.text("ab", min_size=1, max_size=40), max_size=30),
    strategies.integers(1, 7),
    strategies.integers(1, 200),
)
def test_packing_loses_nothing_and_keeps_order(names, max_rows, max_bytes):
    """Every row is in one batch, in order; no batch is above its bounds unless one row alone is."""
    packed = list(batches.Packer("n", max_rows, max_bytes).pack((name, [1.0]) for name in names))
    assert [id_ for batch in packed for id_ in batch.ids] == names
    for batch in packed:
        body = json.loads(batch.call.content)
        assert [row["id"] for row in body["vectors"]] == list(batch.ids)
        assert len(batch.ids) <= max_rows
        assert len(batch.ids) == 1 or len(batch.call.content) <= max_bytes + len(
            '{"vectors":[],"namespace":"n"}'
        )


def test_a_broken_row_fails_alone():
    """Its neighbours are sent."""
    packed = list(batches.Packer("", 10).pack([("a", [1]), ("b", [float("nan")]), 3, ("c", [1])]))
    assert ids_of(packed) == [("b",), ("",), ("a", "c")]
    assert isinstance(packed[0], results.BatchFailure)


def test_packing_reads_no_further_than_it_must():
    """Rows are streamed: a batch is there before the next row is read."""
    read = []

    def source():
        for name in "abcd":
            read.append(name)
            yield (name, [1])

    assert next(batches.Packer("", 2).pack(source())).ids == ("a", "b")
    assert read == ["a", "b"]


@pytest.mark.parametrize("size", [0, 1001])
def test_a_batch_has_1_to_1000_rows(size):
    """What no server takes is refused before the load begins."""
    with pytest.raises(errors.InvalidInputError, match="batch_size is 1 to 1000"):
        batches.Packer("", size)


def test_batches_that_share_an_id_fly_one_after_the_other():
    """Else the earlier value could overwrite the later one."""
    first, second, third = batches.Packer("", 2).pack((name, [1]) for name in "abcdea")
    load = batches.Load(4, None)
    load.start(first)
    assert load.admits(second)
    assert not load.admits(third)
    load.land(first, None)
    assert load.admits(third)


def test_no_more_batches_fly_than_allowed():
    """Concurrency is a bound."""
    first, second = batches.Packer("", 1).pack((name, [1]) for name in "ab")
    load = batches.Load(1, None)
    load.start(first)
    assert not load.admits(second)
    with pytest.raises(errors.InvalidInputError, match="concurrency"):
        batches.Load(0, None)


def test_the_tally_counts_rows_and_names_the_failed():
    """Total, successful, failed, the rate, and each error with its ids; progress hears of each step."""
    first, second = batches.Packer("", 3).pack((name, [1]) for name in "abcd")
    heard = []
    load = batches.Load(2, heard.append)
    refusal = errors.BadRequestError(400, "no")
    for batch, error in ((first, None), (second, refusal)):
        load.start(batch)
        load.land(batch, error)
    assert load.result == results.BatchResult(4, 3, 1, (results.BatchFailure(("d",), refusal),))
    assert load.result.success_rate == 0.75
    assert [(step.total, step.failed) for step in heard] == [(3, 0), (4, 1)]


def test_the_rate_of_nothing_is_whole():
    """An empty load did not fail."""
    assert results.BatchResult().success_rate == 1.0


@pytest.mark.parametrize("error", [errors.AuthenticationError(401, "no"), ZeroDivisionError()])
def test_what_dooms_every_batch_ends_the_load(error):
    """A refused key, and an error that is a bug, are raised."""
    (batch,) = batches.Packer("", 3).pack([("a", [1])])
    load = batches.Load(1, None)
    load.start(batch)
    with pytest.raises(type(error)):
        load.land(batch, error)
