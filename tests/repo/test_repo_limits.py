"""The page's table of limits says what the code takes: each constant and setting that bounds a request."""

import pathlib
import re

import pytest

from vectorfleet_gateway import admission, app, body, call, limits, server, settings
from vectorfleet_gateway.auth import bearers, issuers
from vectorfleet_gateway.embedding import gathering
from vectorfleet_gateway.reranking import wire
from vectorfleet_gateway.serving import bounds
from vectorfleet_operator.api import gateway_spec
from vectorfleet_shardnode import filters
from vectorfleet_shardnode.api import sizes

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "api.md").read_text()
CONNECTION, REQUEST = bounds.Bounds(), app.Bounds()


def size(count: float) -> str:
    """Return a number of bytes as the page says it."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count % unit == 0:
            return f"{int(count) // unit} {name}"
    return f"{count} bytes"


SAID = {
    ("ids |", f"1 to {limits.MAX_ID_CHARACTERS} characters"): "limits.MAX_ID_CHARACTERS",
    ("namespaces", f"0 to {limits.MAX_NAMESPACE_CHARACTERS} characters"): "limits.MAX_NAMESPACE_CHARACTERS",
    ("vectors of an upsert", f"1 to {limits.MAX_VECTORS:,};"): "limits.MAX_VECTORS",
    ("metadata", f"({limits.MAX_METADATA_BYTES:,} bytes)"): "limits.MAX_METADATA_BYTES",
    ("metadata", f"integers of {limits.MAX_INTEGER.bit_length() + 1} bits"): "limits.MAX_INTEGER",
    ("filter", f"{limits.MAX_FILTER_BYTES // 1024} KB as JSON"): "limits.MAX_FILTER_BYTES",
    ("filter", f"{limits.MAX_FILTER_DEPTH} levels of JSON"): "limits.MAX_FILTER_DEPTH",
    ("filter", f"{limits.MAX_CONDITIONS:,} conditions"): "limits.MAX_CONDITIONS",
    ("filter", f"{filters.MAX_LISTED:,} values"): "filters.MAX_LISTED",
    ("`topK`", f"1 to {limits.MAX_TOP_K:,}"): "limits.MAX_TOP_K",
    ("`text`", f"a query 1 to {limits.MAX_TEXT_CHARACTERS:,} characters"): "limits.MAX_TEXT_CHARACTERS",
    ("`text`", f"a row 1 to {limits.MAX_EMBEDDED_CHARACTERS:,},"): "limits.MAX_EMBEDDED_CHARACTERS",
    ("`rerank`", f"to {limits.MAX_RERANKED:,};"): "limits.MAX_RERANKED",
    ("`fusion`", f"`k` 1 to {limits.MAX_RRF_K:,};"): "limits.MAX_RRF_K",
    ("`groupBy`", f"`topK` 1 to {limits.MAX_GROUPS} groups"): "limits.MAX_GROUPS",
    ("`groupBy`", f"`rows` 1 to {limits.MAX_GROUP_ROWS};"): "limits.MAX_GROUP_ROWS",
    ("`groupBy`", f"{size(limits.MAX_GROUPS_BYTES)} for values"): "limits.MAX_GROUPS_BYTES",
    ("`groupBy`", f"more than {limits.MAX_GROUP_CHARACTERS} characters"): "limits.MAX_GROUP_CHARACTERS",
    ("`params`", f"`efSearch` 1 to {limits.MAX_EF_SEARCH:,};"): "limits.MAX_EF_SEARCH",
    ("`params`", f"`probes` 1 to {limits.MAX_PROBES:,};"): "limits.MAX_PROBES",
    ("`params`", f"`oversampling` 1 to {limits.MAX_OVERSAMPLING} "): "limits.MAX_OVERSAMPLING",
    ("`vectors` of a row", f"interaction 1 to {limits.MAX_TOKENS:,} "): "limits.MAX_TOKENS",
    ("`vectors` of a row", f"(of a query {limits.MAX_QUERY_TOKENS})"): "limits.MAX_QUERY_TOKENS",
    ("`vectors` of a query", f"from -{limits.MAX_WEIGHT:,} to {limits.MAX_WEIGHT:,}"): "limits.MAX_WEIGHT",
    ("`sparseValues`", f"1 to {limits.MAX_PAIRS:,} pairs"): "limits.MAX_PAIRS",
    ("`sparseValues`", f"indices 0 to {limits.MAX_INDEX:,},"): "limits.MAX_INDEX",
    ("ids of a page", f"1 to {limits.MAX_LIST_LIMIT:,};"): "limits.MAX_LIST_LIMIT",
    ("body", f"{size(REQUEST.max_body_bytes)}, uncompressed"): "app.max_body_bytes",
    ("time", f"{REQUEST.timeout:g} s for the body"): "app.timeout",
    ("time", f"After {body.GRACE_SECONDS:g} s a body"): "body.GRACE_SECONDS",
    ("time", f"{size(body.LEAST_PACE)} a second"): "body.LEAST_PACE",
    ("requests under way", f"{REQUEST.max_requests};"): "app.max_requests",
    ("bodies, and answers", f"{size(REQUEST.max_bodies_bytes)}, by what"): "app.max_bodies_bytes",
    ("bodies, and answers", f"more than {size(app.LARGE_BYTES)},"): "app.LARGE_BYTES",
    ("connections", f"{CONNECTION.connections:,};"): "bounds.connections",
    ("connections", f"closed after {CONNECTION.idle_seconds:g} s;"): "bounds.idle_seconds",
    ("connections", f"{CONNECTION.handshake_seconds:g} s are for TLS"): "bounds.handshake_seconds",
    ("a request's head", f"{size(CONNECTION.head_bytes)},"): "bounds.head_bytes",
    ("a request's head", f"{CONNECTION.fields} fields,"): "bounds.fields",
    ("a request's head", f"{CONNECTION.head_seconds:g} s from"): "bounds.head_seconds",
    ("requests that are sent before", f" {CONNECTION.waiting} "): "bounds.waiting",
    ("what goes to one shard", size(sizes.MAX_MESSAGE_BYTES)): "sizes.MAX_MESSAGE_BYTES",
    ("the URL", size(CONNECTION.target_bytes)): "bounds.target_bytes",
    ("fields of a query string", f" {call.MAX_FIELDS:,} "): "call.MAX_FIELDS",
    ("a token of an issuer", size(bearers.MAX_TOKEN_BYTES)): "bearers.MAX_TOKEN_BYTES",
    ("a token of an issuer", f"keys {bearers.MAX_KEYS},"): "bearers.MAX_KEYS",
    ("a token of an issuer", size(issuers.MAX_BYTES)): "issuers.MAX_BYTES",
    ("a token of an issuer", f"within {issuers.SECONDS:g} s"): "issuers.SECONDS",
    ("texts that wait", f"{gathering.MAX_WAITING:,} of rows"): "gathering.MAX_WAITING",
    ("an answer of a reranker", size(wire.MAX_BYTES)): "wire.MAX_BYTES",
    ("a slow reader", f"{CONNECTION.answer_grace_seconds:g} s are granted"): "bounds.answer_grace_seconds",
    ("a slow reader", f"{size(CONNECTION.answer_pace)} a second"): "bounds.answer_pace",
    ("a stop", f"for {server.FAREWELL_SECONDS:g} s,"): "server.FAREWELL_SECONDS",
    ("a stop", f"{server.DRAIN_SECONDS:g} s more"): "server.DRAIN_SECONDS",
}  # fmt: skip
UNSEEN = {"bounds.linger_seconds", "bounds.body_bytes_ahead"}
"""What no caller meets as a limit: how the server ends a connection, and how far it reads ahead."""


def rows() -> list[str]:
    """Return the rows of the table."""
    section = PAGE.partition("\n## Limits\n")[2].partition("\n### ")[0]
    return [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| |")]


def row(start: str) -> str:
    """Return the row that begins so, of which there is one."""
    [found] = [line for line in rows() if line.startswith(f"| {start}")]
    return found


@pytest.mark.parametrize("said", SAID, ids=SAID.values())
def test_each_limit_of_the_code_stands_in_its_row(said):
    """With its figure."""
    start, words = said
    assert words in row(start)


def test_no_limit_of_the_code_is_left_out():
    """A constant that is new needs a row."""
    there = {f"limits.{name}" for name in vars(limits) if name.startswith("MAX_")}
    there |= {f"bounds.{name}" for name in bounds.Bounds.__dataclass_fields__}
    there |= {f"app.{name}" for name in app.Bounds.__dataclass_fields__}
    assert there - set(SAID.values()) - UNSEEN == set()


SETTINGS = {
    "body": ("bodySize", "--max-body-bytes", "max_body_bytes"),
    "time": ("requestTimeoutSeconds", "--request-timeout", "request_timeout_seconds"),
    "requests under way": ("requests", "--max-requests", "max_requests"),
    "bodies, and answers": ("bodiesSize", "--max-bodies-bytes", "max_bodies_bytes"),
}


@pytest.mark.parametrize("start", SETTINGS)
def test_each_setting_stands_in_its_row(start):
    """As the manifest, the command and the environment call it; the range of numbers is the setting's."""
    field, option, variable = SETTINGS[start]
    told = row(start)
    for name in (f"`spec.gateway.limits.{field}`", f"`{option}`", f"`VECTORFLEET_{variable.upper()}`"):
        assert name in told
    bound = {type(one).__name__: one for one in settings.Settings.model_fields[variable].metadata}
    most = bound["Le"].le
    assert f"{most:,}" in told or size(most) in told or f"{most:g} s" in told


def test_nothing_else_is_a_setting():
    """Each field of `spec.gateway.limits` has its row, and no other row names one."""
    fields = {field.alias for field in gateway_spec.Limits.model_fields.values()}
    assert fields == {field for field, _, _ in SETTINGS.values()}
    named = [line for line in rows() if re.search(r"VECTORFLEET_|spec\.gateway", line)]
    assert len(named) == len(SETTINGS)
    assert admission.WRITES_SHARE == 0.75  # the page's "three quarters"
