"""Story: a manifest is wrong; the user learns at once what would be right, and nothing breaks."""

from __future__ import annotations

import pytest
from cluster import errors
from harness import handle, index


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"model": {"name": "m", "dimensions": 0}}, "dimensions"),
        ({"metric": "manhattan"}, "metric"),
        ({"shards": 0}, "shards"),
        ({"index": {"type": "hnsw", "profile": "recall", "m": 8}}, "profile may not be given together with"),
        ({"index": {"type": "flat", "m": 8}}, "may only be given where type is hnsw"),
        ({"embedder": {"url": "http://169.254.169.254/v1"}}, "link-local"),
        ({"embedder": {"url": "http://user@embedder/v1"}}, "spec.embedder.url"),
        ({"shrads": 3}, "unknown field"),
    ],
)
def test_wrong_manifest_is_rejected_by_the_api_server(
    operator: handle.Handle, namespace: str, spec: dict[str, object], said: str
) -> None:
    """The schema and its CEL rules refuse it, with a reason, before anything is kept."""
    with pytest.raises(errors.CommandFailedError, match=said):
        operator.kubectl.apply(index.build(namespace, "wrong", **spec))


@pytest.mark.parametrize(
    "patch",
    [
        '{"spec": {"model": {"dimensions": 32}}}',
        '{"spec": {"metric": "cosine"}}',
        '{"spec": {"shards": 3}}',
    ],
)
def test_immutable_fields_keep_their_value(small: index.Index, patch: str) -> None:
    """What would need a new generation is refused, with the reason."""
    with pytest.raises(errors.CommandFailedError, match="not supported yet"):
        small.kubectl("patch", "vi", "small", "--type=merge", "-p", patch)


def test_unsupported_field_stalls_with_its_name(operator: handle.Handle, namespace: str) -> None:
    """A field of later versions is refused by name, never ignored, and taking it out mends the index."""
    operator.kubectl.apply(index.build(namespace, "early", rollout={}))
    made = index.Index(operator, namespace, "early")
    index.wait_until(lambda: made.condition("Stalled").get("status") == "True", 30)

    assert made.condition("Stalled")["reason"] == "NotSupportedYet"
    assert "spec.rollout" in made.condition("Stalled")["message"]
    made.kubectl("patch", "vi", "early", "--type=merge", "-p", '{"spec": {"rollout": null}}')
    made.wait_until_ready()


def test_taken_name_stalls(operator: handle.Handle, namespace: str) -> None:
    """An object of somebody else under a name that the index needs is left alone."""
    operator.kubectl("-n", namespace, "create", "service", "clusterip", "taken", "--tcp=80")
    operator.kubectl.apply(index.build(namespace, "taken"))
    made = index.Index(operator, namespace, "taken")
    index.wait_until(lambda: made.condition("Stalled").get("status") == "True", 30)

    assert made.condition("Stalled")["reason"] == "NameTaken"
    assert "Service taken" in made.condition("Stalled")["message"]
    assert "ownerReferences" not in made.get("service", "taken")["metadata"]
