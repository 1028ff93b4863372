"""The gateway does what its own description says: generated requests, right and wrong, real processes."""

import copy
import json
import pathlib
import subprocess
import sys

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import positive_data_acceptance

from vectorfleet_gateway import call, consistency, openapi, operations
from vectorfleet_shardnode.api import config

KEY = "integration-key"
VECTORFLEET = pathlib.Path(sys.executable).with_name("vectorfleet")
SERVING = {
    "dimensions": 3,
    "vectors": [
        {"name": "title", "dimensions": 2},
        {"name": "tokens", "dimensions": 2, "lateInteraction": True},
    ],
}
DOCUMENT = openapi.describe(operations.OPERATIONS, config.Generation(**SERVING), "")


APART = {call.TIMEOUT_HEADER, consistency.AT_LEAST_HEADER, consistency.WRITE_ID_HEADER}


def without_timeouts(document):
    """Return a description without header fields of which any value is right, and few come to anything.

    No fault is a millisecond that is too short, a position that no shard reaches, or a write that was done.
    """
    document = copy.deepcopy(document)
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["parameters"] = [one for one in operation["parameters"] if one["name"] not in APART]
    return document


# Header fields that nobody knows are no error in HTTP, so none are added to see them refused.
# A request that is wrong may be too long before anybody looks at it.
CHECKS = ChecksConfig.from_dict(
    {
        "negative_data_rejection": {
            "expected-statuses": ["400", "401", "403", "404", "405", "414", "415", "429"]
        }
    }
)
SETTINGS = GenerationConfig(deterministic=True, allow_extra_parameters=False)


def requests_of(document):
    """Return what generates the requests of a description."""
    project = ProjectConfig(generation=SETTINGS, checks=CHECKS, base_url="http://127.0.0.1")
    made = SchemathesisConfig(projects=ProjectsConfig(default=project))
    return schemathesis.openapi.from_dict(without_timeouts(document), config=made)


def of_texts(document):
    """Return a description whose records have a text, or hardly any that is generated would."""
    document = copy.deepcopy(document)
    record = document["components"]["schemas"]["Record"]
    record["properties"]["about"] = {"type": "string"}
    record["required"] = [*record["required"], "about"]
    return document


ASK_FOR_TEXTS = ["query", "upsert", "upsert_records", "search_records"]
schema = requests_of(DOCUMENT)
schema_of_texts = requests_of(of_texts(DOCUMENT)).include(operation_id=ASK_FOR_TEXTS)


@schemathesis.serializer(openapi.LINES)
def one_line(_, value):
    """Write what is one line of a body as that."""
    return json.dumps(value).encode()


@pytest.fixture(scope="module")
def described(make_fleet):
    """A fleet whose index has all that bodies may speak of."""
    return make_fleet(serving=SERVING, schema={"text": ["about"]})


@schema.parametrize()
@hypothesis.settings(max_examples=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_requests_of_every_kind(described, case):
    """Statuses, types and bodies of answers are as described, wrong requests are refused, nothing is a fault.

    That what fits is accepted is not asked: that a query needs a vector or a text, or that a cosine vector
    is not all zero, is more than a schema says.
    """
    validated(described, case)


@pytest.fixture(scope="module")
def dotproduct(make_fleet):
    """The same under dot product, where rows and queries may have sparse values."""
    return make_fleet(serving=SERVING | {"metric": "dotproduct"}, schema={"text": ["about"]})


@schema.parametrize()
@hypothesis.settings(max_examples=15, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_requests_with_sparse_values(dotproduct, case):
    """What is refused under cosine, and taken here, is answered as described."""
    validated(dotproduct, case)


@pytest.fixture(scope="module")
def worded(fleet_of_texts):
    """An index of texts, with an embedder and a reranker; and what statuses it answered, by operation.

    Its vectors are longer than those that are generated, since the embedder's are: what has one is refused.
    """
    return fleet_of_texts, {}


@schema_of_texts.parametrize()
@hypothesis.settings(max_examples=15, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_requests_of_texts(worded, case):
    """Records and texts go to real services, and what comes of them is answered as described."""
    fleet, seen = worded
    answer = validated(fleet, case)
    seen.setdefault(case.operation.definition.raw["operationId"], set()).add(answer.status_code)


def test_records_were_taken_and_found(worded):
    """Of the requests above some succeed: what is described of that was seen too."""
    _, seen = worded
    assert 201 in seen["upsert_records"]
    assert 200 in seen["search_records"]


def validated(fleet, case):
    """Send a request, and return its answer, which is as described."""
    return case.call_and_validate(
        base_url=fleet.host,
        headers={"Api-Key": KEY},
        excluded_checks=[positive_data_acceptance],
        timeout=30,
    )


def test_the_description_is_served(described):
    """The same that the requests were made of."""
    with described.http() as http:
        served = http.get("/openapi.json")
    assert served.json() | {"info": {}} == DOCUMENT | {"info": {}}
    assert served.json()["info"]["version"]


def test_an_open_description(make_fleet):
    """To whoever asks, where that is allowed; nothing else is open."""
    host = make_fleet(shards=1, OPEN_DOCS="true").host
    page = httpx.get(f"{host}/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert httpx.get(f"{host}/openapi.json").status_code == 200
    assert httpx.get(f"{host}/vectors/list").status_code == 401


def test_the_command_writes_it(fleet, tmp_path):
    """A page in a file, a document on standard output, with the key that every other index asks for."""
    command = [str(VECTORFLEET), "docs", "--host", fleet.host, "--api-key"]
    shown = subprocess.run([*command, KEY, "--openapi"], check=True, capture_output=True, timeout=60)
    assert b'"openapi": "3.1.0"' in shown.stdout
    page = tmp_path / "docs.html"
    subprocess.run([*command, KEY, "--out", str(page)], check=True, timeout=60)
    assert page.read_text().startswith("<!doctype html>")
    refused = subprocess.run([*command, "wrong"], check=False, capture_output=True, timeout=60)
    assert (refused.returncode, b"not valid" in refused.stderr) == (1, True)
