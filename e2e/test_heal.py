"""Story: somebody deletes or changes what the operator made; it is back within seconds."""

from __future__ import annotations

import pytest
from harness import index, stopwatch

import vectorfleet

HEAL_SECONDS = 20
TAKEN_UP_SECONDS = 180  # a kubelet looks after mounted Secrets every minute or so


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("service", "small"),
        ("service", "small-shards"),
        ("configmap", "small-config"),
        ("poddisruptionbudget", "small-gateway"),
        ("serviceaccount", "small-shard"),
        ("deployment", "small-gateway"),
        ("vectorshard", "small-g1-s1"),
        ("statefulset", "small-g1-s1"),
    ],
)
def test_deleted_object_is_back(small: index.Index, kind: str, name: str, timed: stopwatch.Stopwatch) -> None:
    """An owned object that is deleted is made anew, and the rows are there."""
    stored = index.load(small)
    before = small.get(kind, name)["metadata"]["uid"]
    with timed(f"{kind} {name} deleted → back"):
        small.kubectl("delete", kind, name, "--wait=false")
        index.wait_until(lambda: small.get(kind, name)["metadata"]["uid"] != before, HEAL_SECONDS)

    small.wait_until_ready()
    index.wait_until(lambda: small.owned("deployment")[0]["status"].get("readyReplicas"))
    index.expect_rows(small, stored)


def test_changed_object_is_put_right(small: index.Index, timed: stopwatch.Stopwatch) -> None:
    """A field that somebody else changed is what the spec says again; what they added stays theirs."""
    with timed("Service changed by hand → put right"):
        small.kubectl("annotate", "service", "small", "example.com/note=mine")
        small.kubectl(
            "patch", "service", "small", "-p", '{"spec": {"ports": [{"port": 80, "targetPort": 1}]}}'
        )
        index.wait_until(
            lambda: small.get("service", "small")["spec"]["ports"][0]["targetPort"] == "http", HEAL_SECONDS
        )

    assert small.get("service", "small")["metadata"]["annotations"]["example.com/note"] == "mine"


@pytest.mark.parametrize("name", ["small-api-key", "small-shard-tls"])
def test_deleted_secret_is_drawn_anew(small: index.Index, name: str, timed: stopwatch.Stopwatch) -> None:
    """A deleted Secret gets a new key or certificate; the index takes it up, and the rows are there."""
    stored = index.load(small)
    before = small.get("secret", name)["data"]
    with timed(f"secret {name} deleted → back"):
        small.kubectl("delete", "secret", name)
        index.wait_until(lambda: small.get("secret", name)["data"] != before, HEAL_SECONDS)
    with timed(f"secret {name} taken up"):
        small.wait_until_ready()
        index.wait_until(lambda: serves(small), TAKEN_UP_SECONDS)

    index.expect_rows(small, stored)


def serves(small: index.Index) -> bool:
    """Whether the index answers to its key."""
    try:
        with small.client() as client:
            return bool(client.stats().total_vector_count)
    except vectorfleet.VectorfleetError:
        return False
