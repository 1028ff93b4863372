"""What a gateway believes of a shard's replicas, and whom it asks first."""

from vectorfleet_gateway.shards import budget, replicas, standing

A, B, C = "a:7400", "b:7400", "c:7400"


def told(epoch=1, leads=False, level=True, heard_at=10.0):
    """Return a replica's own word."""
    return standing.Standing("", epoch, leads, level, heard_at)


def test_the_first_replica_is_tried_where_nothing_is_known():
    """Somebody has to be asked; he knows more."""
    known = standing.Standings([A, B, C])
    assert (known.primary, known.knows) == (0, False)


def test_who_leads_the_greatest_epoch_is_the_primary():
    """Words of older epochs change nothing, whoever says them and however late."""
    known = standing.Standings([A, B, C])
    assert known.learn(2, B)
    assert not known.learn(1, A)
    assert not known.note_state(0, told(epoch=1, leads=True))
    assert known.primary == 1
    assert known.note_state(2, told(epoch=3, leads=True))
    assert known.primary == 2


def test_a_replica_that_does_not_know_the_primary_teaches_nothing():
    """An empty address is no address."""
    known = standing.Standings([A, B])
    assert not known.learn(9, "")
    assert known.learn(2, B)


def test_an_address_that_is_not_configured_is_not_asked():
    """A gateway only talks to replicas that its configuration names; the poll finds the right one."""
    known = standing.Standings([A, B])
    known.learn(5, "elsewhere:7400")
    assert (known.primary, known.knows) == (0, False)


def test_readers_are_well_level_and_idle_first():
    """One that just failed is asked last, one that lags before it."""
    known = standing.Standings([A, B, C])
    known.note_failure(0, 100.0)
    known.note_state(1, told(level=False))
    known.replicas[2].busy = 5
    assert known.readers(100.5) == [2, 1, 0]
    assert known.readers(100.0 + standing.FAILED_SECONDS)[0] == 0


def test_hedges_are_bounded_by_a_share_of_reads():
    """After a burst, one in twenty reads may be asked twice."""
    spare = budget.Budget()
    spent = sum(spare.spend() for _ in range(100))
    assert spent == 10
    for _ in range(200):
        spare.earn()
    assert sum(spare.spend() for _ in range(100)) == 10


def test_the_delay_follows_what_answers_take():
    """It is twice a high percentile, and never nothing."""
    spare = budget.Budget()
    for _ in range(200):
        spare.note(0.002)
    assert spare.delay == budget.LEAST_DELAY
    for _ in range(200):
        spare.note(0.050)
    assert spare.delay == 0.1


def test_a_replica_that_is_much_slower_is_asked_last():
    """It answers, and polls too; the others answer several times as fast."""
    known = standing.Standings([A, B])
    known.note_seconds(0, 0.3, 100.0)
    known.note_seconds(1, 0.002, 100.0)
    assert known.readers(100.0) == [1, 0]


def test_replicas_of_about_the_same_speed_are_equals():
    """Then the least busy counts; nor does a millisecond, however many times another one it is."""
    known = standing.Standings([A, B, C])
    for number, seconds in enumerate((0.06, 0.05, 0.04)):
        known.note_seconds(number, seconds, 100.0)
    assert known.readers(100.0) == [0, 1, 2]
    known = standing.Standings([A, B])
    known.note_seconds(0, 0.004, 100.0)
    known.note_seconds(1, 0.0002, 100.0)
    assert known.readers(100.0) == [0, 1]


def test_one_slow_answer_among_quick_ones_is_forgiven():
    """An average counts, and it fades: a replica that was slow is tried again."""
    known = standing.Standings([A, B])
    for _ in range(20):
        known.note_seconds(0, 0.002, 100.0)
        known.note_seconds(1, 0.002, 100.0)
    known.note_seconds(0, 0.03, 100.0)
    assert known.readers(100.0) == [0, 1]
    known.note_seconds(0, 30.0, 100.0)
    assert known.readers(100.0) == [1, 0]
    assert known.readers(130.0) == [0, 1]


def test_one_that_was_given_up_took_at_least_as_long():
    """Whoever is asked as well answers first, so how long it would have taken is never heard."""
    known = standing.Standings([A, B])
    known.note_given_up(0, 0.05, 100.0)
    assert known.readers(100.0) == [1, 0]
    known.note_given_up(1, 0.001, 100.0)
    assert known.readers(100.0) == [1, 0]


def test_a_failure_is_remembered_until_the_next_poll_is_over():
    """Else one that answers nothing any more would be asked first in between."""
    assert standing.FAILED_SECONDS > replicas.POLL_SECONDS + replicas.STATE_SECONDS
