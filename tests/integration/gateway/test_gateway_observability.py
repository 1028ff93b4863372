"""What docs/observability.md says of metrics and logs, held against the processes."""

import json
import pathlib
import re
import urllib.error
import urllib.request

import pytest
from prometheus_client import metrics, parser

import vectorfleet_operator.metrics

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "observability.md"
LINE = re.compile(r"^\| (gateway|shard|operator) \| `(\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)
SECRET_FIELD, SECRET_TEXT = "diagnosis-field", "a private sentence"
VECTOR = (0.12345678, 2.0, 3.0)
OF_EVERY_PROCESS = ("python_", "process_")


def documented(process):
    """Return the page's metrics of a process: name to type and labels."""
    found = LINE.findall(PAGE.read_text())
    return {
        name: (kind, set(re.findall(r"\w+", labels))) for who, name, kind, labels in found if who == process
    }


def name_of(family):
    """Return a family's name as Prometheus shows it."""
    return family.name + ("_total" if family.type == "counter" else "")


def shown(text):
    """Return what a process shows: name to type, and to the labels of its samples or None without any."""
    families = [
        family
        for family in parser.text_string_to_metric_families(text)
        if not family.name.startswith(OF_EVERY_PROCESS) and not family.name.endswith("_created")
    ]
    labels = {
        name_of(family): {label for sample in family.samples for label in sample.labels} - {"le"}
        if family.samples
        else None
        for family in families
    }
    return {name_of(family): family.type for family in families}, labels


def ask(fleet, question, key="integration-key"):
    """Send a query once, and return its HTTP status."""
    request = urllib.request.Request(
        f"{fleet.host}/query", json.dumps(question).encode(), {"Api-Key": key}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def talkative(make_fleet):
    """A fleet that logs all it can, after a write, queries of which one fails, and a wrong key."""
    fleet = make_fleet(start=False, AUDIT_LOG="all", REQUEST_TIMEOUT_SECONDS=3)
    for process in (*fleet.shards, fleet.gateway):
        process._env["VECTORFLEET_LOG_LEVEL"] = "DEBUG"
    for shard in fleet.shards:
        shard._env |= {"VECTORFLEET_TUNING__GROWING_ROWS": "4", "VECTORFLEET_TUNING__SETTLE_SECONDS": "0"}
    fleet.start()
    with fleet.index() as index:
        metadata = {SECRET_FIELD: SECRET_TEXT}
        for start in range(0, 40, 10):
            rows = [(str(number), [*VECTOR, float(number)], metadata) for number in range(start, start + 10)]
            index.upsert(rows)
        index.update("1", set_metadata=metadata)
    wanted = {SECRET_FIELD: SECRET_TEXT}
    question = {"vector": [*VECTOR, 4.0], "topK": 1, "filter": wanted}
    assert ask(fleet, question) == 200
    fleet.shards[0].kill()
    assert ask(fleet, question) in {503, 504}
    assert ask(fleet, {"topK": 0, **question}, key="wrong-" + SECRET_TEXT) == 401
    return fleet


@pytest.mark.parametrize("process", ["gateway", "shard"])
def test_the_page_has_every_metric_that_a_process_shows(talkative, process):
    """Names, types and labels are those of the real process, none more and none less."""
    running = talkative.gateway if process == "gateway" else talkative.shards[1]
    said = documented(process)
    types, labels = shown(running.scrape())
    assert {name: kind for name, (kind, _) in said.items()} == types
    seen = {name: found for name, found in labels.items() if found is not None}
    assert {name: said[name][1] for name in seen} == seen
    assert len(seen) >= 9


def test_the_page_has_every_metric_of_the_operator():
    """Names, types and labels are those that its module declares."""
    declared = [
        each
        for each in vars(vectorfleet_operator.metrics).values()
        if isinstance(each, metrics.MetricWrapperBase)
    ]
    families = [(next(iter(each.describe())), set(each._labelnames)) for each in declared]
    assert documented("operator") == {name_of(family): (family.type, labels) for family, labels in families}


def test_logs_are_json_and_tell_no_secret(talkative):
    """At the level DEBUG every line has the four fields, and neither keys nor what rows hold is in any."""
    secrets = ("integration-key", "integration-token", SECRET_FIELD, SECRET_TEXT, "0.12345678")
    for process in (*talkative.shards, talkative.gateway):
        lines = process.log.splitlines()
        assert lines
        for line in lines:
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys()
        assert [secret for secret in secrets if secret in process.log] == []
    assert '"message": "audit"' in talkative.gateway.log
