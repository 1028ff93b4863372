"""Rates and quotas of keys, on a clock of our own."""

import hashlib
import json

import pytest

from vectorfleet_gateway import errors, policy, quotas
from vectorfleet_runtime import grants

NOON = 1_800_057_600.0 // quotas.DAY * quotas.DAY + 43_200


def admitted(meter, times):
    """Return at which of some times a request is let in."""
    found = []
    for now in times:
        try:
            meter.admit(now)
        except errors.ThrottledError:
            continue
        found.append(now - NOON)
    return found


def seconds_of(refused):
    """Return after how many seconds a refusal says to come again."""
    return int(refused.value.headers["retry-after"])


def test_a_rate_holds_after_a_burst():
    """Two a second, three at once: the fourth waits half a second."""
    meter = quotas.Meter(policy.Quota(requests_per_second=2, burst=3), NOON)
    assert admitted(meter, [NOON] * 5) == [0, 0, 0]
    assert admitted(meter, [NOON + 0.4, NOON + 0.5, NOON + 0.6]) == [0.5]
    assert len(admitted(meter, [NOON + 1_000] * 5)) == 3


@pytest.mark.parametrize(
    ("rate", "burst", "at_once"), [(0.01, None, 1), (5, None, 5), (5, 1, 1), (1, 1e9, 50)]
)
def test_without_a_burst_a_second_of_the_rate_is_one(rate, burst, at_once):
    """At least one, or nothing would ever be let in."""
    meter = quotas.Meter(policy.Quota(requests_per_second=rate, burst=burst), NOON)
    assert len(admitted(meter, [NOON] * 50)) == at_once


def test_when_to_come_again_is_said():
    """In whole seconds, at least one; then it is let in."""
    meter = quotas.Meter(policy.Quota(requests_per_second=0.1), NOON)
    meter.admit(NOON)
    with pytest.raises(errors.ThrottledError, match=r"0\.1 requests a second; try again in 9 s") as refused:
        meter.admit(NOON + 1.5)
    assert seconds_of(refused) == 9
    meter.admit(NOON + 10.5)
    assert errors.ThrottledError("again", 0).headers == {"retry-after": "1"}


def test_a_day_ends_at_midnight():
    """In UTC; what is refused is not counted."""
    meter = quotas.Meter(policy.Quota(requests_per_day=3), NOON)
    assert len(admitted(meter, [NOON + hour * 3_600 for hour in range(12)])) == 3
    with pytest.raises(errors.ThrottledError, match="3 requests a day") as refused:
        meter.admit(NOON + 43_000)
    assert seconds_of(refused) == 200
    assert len(admitted(meter, [NOON + 43_200] * 5)) == 3


def test_rows_are_paid_back():
    """A batch may go beyond the rate, and what comes after it waits for as long as it takes to make up."""
    meter = quotas.Meter(policy.Quota(rows_per_second=100), NOON)
    meter.charge(1_000, NOON)
    with pytest.raises(errors.ThrottledError, match="100 rows a second") as refused:
        meter.charge(1, NOON + 1)
    assert seconds_of(refused) == 9
    meter.charge(1, NOON + 9.1)


def test_keys_are_counted_apart():
    """By their names; a key without a quota is not counted, and a changed quota begins anew."""
    meters = quotas.Meters()
    quota = policy.Quota(requests_per_second=1)
    one, other = (policy.Principal(name, quota=quota) for name in ("one", "other"))
    assert meters.of(one, NOON) is meters.of(one, NOON)
    assert meters.of(one, NOON) is not meters.of(other, NOON)
    assert meters.of(policy.Principal("free"), NOON) is None
    before = meters.of(one, NOON)
    assert meters.of(policy.Principal("one", quota=policy.Quota(requests_per_second=2)), NOON) is not before


def entry(**limits):
    """Return a key's file with limits."""
    return json.dumps({"sha256": hashlib.sha256(b"key-1").hexdigest(), "limits": limits}).encode()


def test_a_file_of_a_key_says_its_limits():
    """Beside its role; what it leaves out has no bound."""
    granted = grants.parse("a", entry(requestsPerSecond=0.5, burst=3, rowsPerSecond=10, requestsPerDay=100))
    assert granted.principal.quota == policy.Quota(0.5, 3, 10, 100)
    assert grants.parse("a", entry()).principal.quota == policy.Quota()


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
        grants.parse("a", entry(**limits))


async def test_a_key_that_asks_too_often_is_told_so(gateway):
    """429 with Retry-After, on every route, after the role was looked at; other keys go on."""
    content = json.loads(entry(requestsPerSecond=0.001, burst=2)) | {"role": "read"}
    gateway.ring.replace(
        [
            grants.plain("first", "key-1"),
            grants.parse(
                "second", json.dumps(content | {"sha256": hashlib.sha256(b"key-2").hexdigest()}).encode()
            ),
        ]
    )
    own = {"api-key": "key-2"}
    assert (await gateway.ask("POST", "/vectors/upsert", {"vectors": []}, headers=own)).status == 403
    statuses = [(await gateway.ask("GET", "/namespaces", headers=own)) for _ in range(4)]
    assert [one.status for one in statuses] == [200, 200, 429, 429]
    assert int(statuses[-1].headers["retry-after"]) > 900
    assert statuses[-1].json["code"] == 8
    assert (await gateway.ask("GET", "/namespaces")).status == 200


async def test_rows_of_a_key_are_counted(gateway):
    """An upsert beyond the rate is refused whole, before a shard sees a part of it."""
    gateway.ring.replace([grants.parse("first", entry(rowsPerSecond=2))])
    rows = [{"id": str(number), "values": [1, 1]} for number in range(50)]
    assert (await gateway.ask("POST", "/vectors/upsert", {"vectors": rows})).status == 200
    again = await gateway.ask("POST", "/vectors/upsert", {"vectors": rows})
    assert (again.status, gateway.written) == (429, 50)
    assert 20 <= int(again.headers["retry-after"]) <= 25
