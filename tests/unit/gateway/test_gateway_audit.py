"""The audit log: who did what, and nothing of what they sent."""

import logging

import pytest

from vectorfleet_gateway import audit

VALUE = 2.0**-30
"""A value of a vector, whose digits no time of a record has by chance."""
SECRETS = ("key-1", "wrong-key", "9.313225746", "hidden-id", "hidden-value")


@pytest.fixture
def lines(caplog, make_gateway, monkeypatch):
    """Return a function that makes a gateway of a level and gives its audit lines."""
    caplog.set_level(logging.INFO, "vectorfleet_gateway.audit")

    def make(level):
        gateway = make_gateway()
        monkeypatch.setattr(gateway.app, "_audit", audit.Audit(level, "products"))
        return gateway, lambda: [one for one in caplog.records if one.name == "vectorfleet_gateway.audit"]

    return make


async def use(gateway):
    """Write, read, and be refused."""
    row = {"id": "hidden-id", "values": [VALUE, 1], "metadata": {"a": "hidden-value"}}
    await gateway.ask("POST", "/vectors/upsert", {"vectors": [row], "namespace": "shop"})
    await gateway.ask("POST", "/query", {"vector": [VALUE, 1], "topK": 1, "filter": {"a": "hidden-value"}})
    await gateway.ask("GET", "/vectors/fetch", query="ids=hidden-id", headers={"api-key": "wrong-key"})
    await gateway.ask("POST", "/vectors/upsert", {"vectors": []}, headers={"x-request-id": "mine"})


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("off", []),
        ("changes", [("first", "upsert", 200), ("", "fetch", 401), ("first", "upsert", 400)]),
        (
            "all",
            [("first", "upsert", 200), ("first", "query", 200), ("", "fetch", 401), ("first", "upsert", 400)],
        ),
    ],
)
async def test_what_is_written_down(lines, level, expected):
    """Changes and refusals, everything, or nothing."""
    gateway, written = lines(audit.Level(level))
    await use(gateway)
    assert [(one.principal, one.action, one.status) for one in written()] == expected


async def test_a_line_says_where_and_never_what(lines):
    """Index, namespace and request id; no vector, metadata, id or key."""
    gateway, written = lines(audit.Level.ALL)
    await use(gateway)
    first, *_, last = written()
    assert (first.index, first.namespace, last.request_id) == ("products", "shop", "mine")
    assert not hasattr(written()[2], "namespace")
    told = " ".join(str(vars(one)) for one in written())
    assert not [secret for secret in SECRETS if secret in told]
