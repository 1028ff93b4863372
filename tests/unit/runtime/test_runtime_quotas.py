"""Rates and quotas of keys, on a clock of our own."""

import math

import pytest
from issuing import entries

from vectorfleet_runtime import grants, quotas

START = 5_000.0
"""Of the steady clock, at noon."""
NOON = 1_800_057_600.0 // quotas.DAY * quotas.DAY + 43_200


def admitted(meter, times):
    """Return at which of some times a request is let in."""
    found = []
    for now in times:
        try:
            meter.admit(steady(now), now)
        except quotas.SpentError:
            continue
        found.append(now - NOON)
    return found


def steady(now):
    """Return what the steady clock shows while the wall clock is right."""
    return START + now - NOON


def seconds_of(refused):
    """Return after how many seconds a refusal says to come again."""
    return math.ceil(refused.value.seconds)


def test_a_rate_holds_after_a_burst():
    """Two a second, three at once: the fourth waits half a second."""
    meter = quotas.Meter(grants.Quota(requests_per_second=2, burst=3), START)
    assert admitted(meter, [NOON] * 5) == [0, 0, 0]
    assert admitted(meter, [NOON + 0.4, NOON + 0.5, NOON + 0.6]) == [0.5]
    assert len(admitted(meter, [NOON + 1_000] * 5)) == 3


@pytest.mark.parametrize(
    ("rate", "burst", "at_once"), [(0.01, None, 1), (5, None, 5), (5, 1, 1), (1, 1e9, 50)]
)
def test_without_a_burst_a_second_of_the_rate_is_one(rate, burst, at_once):
    """At least one, or nothing would ever be let in."""
    meter = quotas.Meter(grants.Quota(requests_per_second=rate, burst=burst), START)
    assert len(admitted(meter, [NOON] * 50)) == at_once


def test_when_to_come_again_is_said():
    """And then it is let in."""
    meter = quotas.Meter(grants.Quota(requests_per_second=0.1), START)
    meter.admit(steady(NOON), NOON)
    with pytest.raises(quotas.SpentError, match=r"0\.1 requests a second") as refused:
        meter.admit(steady(NOON + 1.5), NOON + 1.5)
    assert seconds_of(refused) == 9
    meter.admit(steady(NOON + 10.5), NOON + 10.5)


def test_a_day_ends_at_midnight():
    """In UTC; what is refused is not counted."""
    meter = quotas.Meter(grants.Quota(requests_per_day=3), START)
    assert len(admitted(meter, [NOON + hour * 3_600 for hour in range(12)])) == 3
    with pytest.raises(quotas.SpentError, match="3 requests a day") as refused:
        meter.admit(steady(NOON + 43_000), NOON + 43_000)
    assert seconds_of(refused) == 200
    assert len(admitted(meter, [NOON + 43_200] * 5)) == 3


@pytest.mark.parametrize("step", [-3_600, -60, 60, 3_600])
def test_a_clock_that_is_set_changes_no_rate(step):
    """Neither is a key kept waiting for as long as the wall clock was set back, nor has it more."""
    meter = quotas.Meter(grants.Quota(requests_per_second=2, burst=3, rows_per_second=100), START)
    assert admitted(meter, [NOON] * 3) == [0, 0, 0]
    with pytest.raises(quotas.SpentError) as refused:
        meter.admit(START, NOON + step)
    assert refused.value.seconds == 0.5
    meter.admit(START + 0.5, NOON + step + 0.5)


def test_rows_are_paid_back():
    """A batch may go beyond the rate, and what comes after it waits for as long as it takes to make up."""
    meter = quotas.Meter(grants.Quota(rows_per_second=100), START)
    meter.charge(1_000, START)
    with pytest.raises(quotas.SpentError, match="100 rows a second") as refused:
        meter.charge(1, START + 1)
    assert seconds_of(refused) == 9
    meter.charge(1, START + 9.1)


def test_keys_are_counted_apart():
    """By their names; a key without a quota is not counted, and a changed quota begins anew."""
    meters = quotas.Meters()
    quota = grants.Quota(requests_per_second=1)
    one, other = (grants.Principal(name, quota=quota) for name in ("one", "other"))
    assert meters.of(one, START) is meters.of(one, START)
    assert meters.of(one, START) is not meters.of(other, START)
    assert meters.of(grants.Principal("free"), START) is None
    before = meters.of(one, START)
    assert meters.of(grants.Principal("one", quota=grants.Quota(requests_per_second=2)), START) is not before


def test_a_file_of_a_key_says_its_limits():
    """Beside its role; what it leaves out has no bound."""
    limits = {"requestsPerSecond": 0.5, "burst": 3, "rowsPerSecond": 10, "requestsPerDay": 100}
    granted = grants.parse("a", entries.entry("key-1", limits=limits))
    assert granted.principal.quota == grants.Quota(0.5, 3, 10, 100)
    assert grants.parse("a", entries.entry("key-1", limits={})).principal.quota == grants.Quota()


@pytest.mark.parametrize(
    "limits",
    [
        {"requestsPerSecond": 0},
        {"requestsPerSecond": -1},
        {"burst": 0.5},
        {"requestsPerDay": 1.5},
        {"more": 1},
        {"rowsPerSecond": "1"},
    ],
)
def test_limits_that_are_none_grant_nothing(limits):
    """A limit that could not be meant does not turn into none."""
    with pytest.raises(ValueError, match="does not fit"):
        grants.parse("a", entries.entry("key-1", limits=limits))


def subject(name, **limits):
    """Return whom an issuer's token names."""
    quota = grants.Quota(**({"requests_per_second": 1} | limits))
    return grants.Principal(f"jwt:{name}", grants.Role.READ, quota=quota, issued=True)


def test_each_subject_has_a_meter_of_its_own():
    """One that has had what it may is told whose rate that is; others go on."""
    meters = quotas.Meters()
    meters.of(subject("ann"), START).admit(START, NOON)
    with pytest.raises(quotas.SpentError, match="this token's subject may send 1 requests a second"):
        meters.of(subject("ann"), START).admit(START, NOON)
    meters.of(subject("bob"), START).admit(START, NOON)
    assert meters.of(grants.Principal("jwt:cy", issued=True), START) is None


def test_subjects_are_as_many_as_may_be_and_push_out_no_key():
    """Of any number of them, those that asked last are counted; a key of the same name is another caller."""
    meters = quotas.Meters(most_issued=3)
    key = grants.Principal("jwt:ann", quota=grants.Quota(requests_per_second=1))
    own = meters.of(key, START)
    first = meters.of(subject("ann"), START)
    assert first is not own
    for name in "bc":
        meters.of(subject(name), START)
    assert meters.of(subject("ann"), START) is first
    for name in "def":
        meters.of(subject(name), START)
    assert meters.of(subject("ann"), START) is not first
    assert meters.of(key, START) is own
    assert len(meters._issued) == 3
