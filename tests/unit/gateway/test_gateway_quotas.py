"""Rates and quotas of keys, by requests to a gateway."""

import time

from issuing import entries

from vectorfleet_gateway import errors
from vectorfleet_runtime import grants


def test_when_to_come_again_is_said():
    """In whole seconds, at least one."""
    assert errors.ThrottledError("again", 0).headers == {"retry-after": "1"}
    assert errors.ThrottledError("again", 8.2).headers == {"retry-after": "9"}


async def test_a_key_that_asks_too_often_is_told_so(gateway):
    """429 with Retry-After, on every route, after the role was looked at; other keys go on."""
    limits = {"requestsPerSecond": 0.001, "burst": 2}
    gateway.ring.replace(
        [
            grants.plain("first", "key-1"),
            grants.parse("second", entries.entry("key-2", limits=limits, role="read")),
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
    gateway.ring.replace([grants.parse("first", entries.entry("key-1", limits={"rowsPerSecond": 2}))])
    rows = [{"id": str(number), "values": [1, 1]} for number in range(50)]
    assert (await gateway.ask("POST", "/vectors/upsert", {"vectors": rows})).status == 200
    again = await gateway.ask("POST", "/vectors/upsert", {"vectors": rows})
    assert (again.status, gateway.written) == (429, 50)
    assert 20 <= int(again.headers["retry-after"]) <= 25


async def test_a_clock_that_is_set_back_keeps_no_key_waiting(gateway, monkeypatch):
    """Requests and rows are let in at their rate, whatever the wall clock shows, and no sooner."""
    limits = {"requestsPerSecond": 1_000_000, "burst": 2, "rowsPerSecond": 1_000_000}
    gateway.ring.replace([grants.parse("first", entries.entry("key-1", limits=limits))])
    row = {"vectors": [{"id": "a", "values": [1, 1]}]}
    wall = time.time()
    for shown in (wall, wall - 60, wall - 3_600):
        monkeypatch.setattr(time, "time", lambda shown=shown: shown)
        assert (await gateway.ask("POST", "/vectors/upsert", row)).status == 200
    limits = {"requestsPerSecond": 0.001, "burst": 1}
    gateway.ring.replace([grants.parse("first", entries.entry("key-1", limits=limits))])
    statuses = []
    for shown in (wall, wall + 3_600):
        monkeypatch.setattr(time, "time", lambda shown=shown: shown)
        statuses.append((await gateway.ask("GET", "/namespaces")).status)
    assert statuses == [200, 429]
