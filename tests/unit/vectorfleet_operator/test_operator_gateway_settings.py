"""What the spec says of a gateway's limits and logs, as the gateway's own process reads it."""

import pytest
from planning import desiring

from vectorfleet_gateway import settings


@pytest.fixture
def read(monkeypatch):
    """Return a function that gives the settings of a gateway whose spec has this in it."""

    def told(**gateway):
        deployment = desiring.build_all(gateway=gateway)["Deployment", "products-gateway"]
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        for one in container["env"]:
            if "value" in one:
                monkeypatch.setenv(one["name"], one["value"])
        return settings.read()

    return told


TOLD = (
    "max_requests", "max_body_bytes", "max_bodies_bytes", "request_timeout_seconds", "open_docs", "log_level",
    "audit_log",
)  # fmt: skip


def test_what_the_spec_leaves_out_is_the_gateway_s_own_default(read):
    """So that the figures that the field reference states are those of a gateway without a manifest too."""
    plain, told = settings.Settings(), read()
    assert {name: getattr(told, name) for name in TOLD} == {name: getattr(plain, name) for name in TOLD}


@pytest.mark.parametrize(
    ("gateway", "name", "value"),
    [
        ({"limits": {"requests": 2_000}}, "max_requests", 2_000),
        ({"limits": {"bodySize": "1Mi"}}, "max_body_bytes", 2**20),
        ({"limits": {"bodiesSize": "1Gi"}}, "max_bodies_bytes", 2**30),
        ({"limits": {"requestTimeoutSeconds": 5}}, "request_timeout_seconds", 5),
        ({"openDocs": True}, "open_docs", True),
        ({"log": {"level": "WARNING"}}, "log_level", "WARNING"),
        ({"log": {"audit": "none"}}, "audit_log", "off"),
        ({"log": {"audit": "all"}}, "audit_log", "all"),
    ],
)
def test_what_the_spec_says_is_what_the_gateway_reads(read, gateway, name, value):
    """Each field leads to its setting, in the setting's unit."""
    assert getattr(read(**gateway), name) == value


@pytest.mark.parametrize(
    ("memory", "size"),
    [("2Gi", 512 * 2**20), ("512Mi", 128 * 2**20), ("64Mi", 32 * 2**20), ("1000Ti", 2**40)],
)
def test_bodies_have_a_quarter_of_the_memory_that_a_gateway_may_use(read, memory, size):
    """But 32 MiB at the least, since one body may be as long, and what is given wins."""
    limited = {"resources": {"limits": {"memory": memory}}}
    assert read(**limited).max_bodies_bytes == size
    assert read(**limited, limits={"bodiesSize": "48Mi"}).max_bodies_bytes == 48 * 2**20


def test_a_change_of_limits_rolls_the_gateways_alone():
    """The shards' pods stay as they are."""
    before, after = desiring.build_all(), desiring.build_all(gateway={"limits": {"requests": 9}})
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {("Deployment", "products-gateway")}
