"""The audit log: who did what, and nothing of what they sent."""

import json
import logging

import pytest

from vectorfleet_gateway import audit
from vectorfleet_runtime import logs

VALUE = 2.0**-30
"""A value of a vector, whose digits no time of a record has by chance."""
SECRETS = ("key-1", "wrong-key", "9.313225746", "hidden-id", "hidden-value")


@pytest.fixture
def lines(caplog, make_gateway, monkeypatch):
    """Return a function that makes a gateway of a level and gives its audit lines."""
    monkeypatch.setattr(logging.getLogger("vectorfleet_gateway.audit"), "handlers", [caplog.handler])

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


@pytest.mark.parametrize(("level", "as_json"), [("WARNING", True), ("INFO", False), ("WARNING", False)])
def test_what_else_is_logged_does_not_matter(capsys, monkeypatch, level, as_json):
    """At any level and format of the log, a line is written once, whole, as JSON."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    logs.configure(level, as_json=as_json)
    entry = audit.Entry("r1", "delete", changes=True, principal="first", namespace="shop")
    audit.Audit(index="products").write(entry, 200, 0.1)
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["logger"], told["level"]) == ("vectorfleet_gateway.audit", "info")
    assert (told["principal"], told["action"], told["index"]) == ("first", "delete", "products")
