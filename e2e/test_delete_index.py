"""Story: a user deletes an index: what it owned goes, its volumes stay or go as the manifest says."""

from __future__ import annotations

from harness import handle, index, stopwatch

KINDS = "statefulset,deployment,service,configmap,secret,serviceaccount,pdb,pod,vectorshard"
GONE_SECONDS = 90


def delete(made: index.Index, timed: stopwatch.Stopwatch) -> None:
    """`kubectl delete`, and wait until nothing but volumes is left."""
    with timed("kubectl delete returns"):
        made.kubectl("delete", "vi", made.name, "--timeout=60s")
    with timed("everything owned is gone"):
        index.wait_until(lambda: not made.owned(KINDS), GONE_SECONDS)


def test_retained_volumes_bring_the_rows_back(
    operator: handle.Handle, namespace: str, timed: stopwatch.Stopwatch
) -> None:
    """Under Retain the volumes stay, and an index of the same name finds its rows again."""
    manifest = index.build(namespace, "kept")
    operator.kubectl.apply(manifest)
    made = index.Index(operator, namespace, "kept")
    made.wait_until_ready()
    stored = index.load(made)
    delete(made, timed)

    assert {one["metadata"]["name"] for one in made.owned("pvc")} == {
        "data-kept-g1-s0-0",
        "data-kept-g1-s1-0",
    }
    operator.kubectl.apply(manifest)
    made.wait_until_ready()
    index.expect_rows(made, stored)


def test_deletion_policy_delete_removes_volumes(
    operator: handle.Handle, namespace: str, timed: stopwatch.Stopwatch
) -> None:
    """Under Delete the volumes go with the index."""
    operator.kubectl.apply(
        index.build(namespace, "gone", storage={"size": "1Gi", "deletionPolicy": "Delete"}, shards=1)
    )
    made = index.Index(operator, namespace, "gone")
    made.wait_until_ready()
    delete(made, timed)

    index.wait_until(lambda: not made.owned("pvc"), GONE_SECONDS)
