"""The spans of a log's epochs say the same as a list of all its records' epochs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_shardnode.replication import history

EPOCHS = st.lists(st.integers(1, 6), max_size=12).map(sorted)


def made(epochs, trimmed=0):
    """Return the history of a log whose records 1, 2, ... are of these epochs, less its beginning."""
    log = history.History()
    for seq, epoch in enumerate(epochs, 1):
        log = log.extended(epoch, seq)
    return log.trimmed(trimmed)


@st.composite
def logs(draw):
    """Draw (epochs, how many records are given up)."""
    epochs = draw(EPOCHS)
    return epochs, draw(st.integers(0, len(epochs)))


def held(log):
    """Return {seq: epoch} of what a history says."""
    return {seq: log.epoch_at(seq) for seq in range(20) if log.epoch_at(seq) is not None}


def listed(epochs, trimmed, last):
    """Return the same, from the list: the record before the first is known too."""
    return {seq: epoch for seq, epoch in enumerate([0, *epochs]) if trimmed <= seq <= last}


@given(logs())
def test_knows_every_record(drawn):
    """Also the place behind which the log begins."""
    epochs, trimmed = drawn
    log = made(epochs, trimmed)
    assert held(log) == listed(epochs, trimmed, len(epochs))
    assert log.last == history.Position(max(epochs, default=0), len(epochs))


@given(logs(), st.integers(0, 12))
def test_cut_keeps_what_is_before(drawn, after):
    """And a record that is appended then is the newest."""
    epochs, trimmed = drawn
    after = min(max(after, trimmed), len(epochs))
    log = made(epochs, trimmed).cut(after)
    assert held(log) == listed(epochs, trimmed, after)
    assert log.extended(9, after + 1).last == history.Position(9, after + 1)


@given(logs())
def test_first_of_an_epoch_is_the_first_that_is_left(drawn):
    """None where none is left."""
    epochs, trimmed = drawn
    log = made(epochs, trimmed)
    for epoch in range(8):
        left = [seq for seq, one in enumerate(epochs, 1) if one == epoch and seq > trimmed]
        assert log.first_of(epoch) == (left[0] if left else None)


@given(EPOCHS, EPOCHS)
def test_common_never_passes_over_the_last_equal_record(ours, theirs):
    """Logs that are equal at a place are equal before it; shipping from behind `common` misses nothing."""
    log, other = made(ours), made(theirs)
    equal = 0
    while equal < min(len(ours), len(theirs)) and ours[equal] == theirs[equal]:
        equal += 1
    assert log.common(other.last) >= equal


def test_epochs_never_fall():
    """A record of an older epoch behind a newer one is nobody's."""
    with pytest.raises(ValueError, match="can't follow"):
        made([3]).extended(2, 2)


def test_a_place_that_is_not_there_is_refused():
    """The message says what is."""
    with pytest.raises(LookupError, match="3 to 4, not 5"):
        made([1, 1, 2, 2], trimmed=2).place(5)
