"""Story: a user changes the manifest: the gateway scales, resources and image roll, the data stays."""

from __future__ import annotations

from typing import Any

from harness import handle, index, stopwatch


def change(small: index.Index, patch: str) -> None:
    """Merge a patch into the index's spec."""
    small.kubectl("patch", "vi", "small", "--type=merge", "-p", patch)
    small.wait_until_seen()


def test_gateway_scales(small: index.Index, timed: stopwatch.Stopwatch) -> None:
    """spec.gateway.replicas: 3 gives three ready gateways."""
    with timed("gateway 1 → 3 replicas ready"):
        change(small, '{"spec": {"gateway": {"replicas": 3}}}')
        index.wait_until(lambda: small.get("deployment", "small-gateway")["status"].get("readyReplicas") == 3)

    assert small.get("vi", "small")["spec"]["gateway"]["replicas"] == 3


def test_resources_roll_one_shard_at_a_time(small: index.Index, timed: stopwatch.Stopwatch) -> None:
    """New resources reach each shard, never two at once, and every row is there."""
    stored = index.load(small)
    unready: list[int] = []
    with timed("shard resources changed → rolled"):
        change(small, '{"spec": {"resources": {"requests": {"memory": "160Mi"}}}}')
        index.wait_until(lambda: rolled(small, unready))
        small.wait_until_ready()

    assert max(unready) <= 1
    index.expect_rows(small, stored)


def test_image_rolls(
    operator: handle.Handle, small: index.Index, second_image: str, timed: stopwatch.Stopwatch
) -> None:
    """spec.image.tag rolls shards and gateways to that image."""
    stored = index.load(small)
    tag = second_image.rpartition(":")[2]
    with timed("image changed → rolled"):
        change(small, f'{{"spec": {{"image": {{"tag": "{tag}"}}}}}}')
        index.wait_until(lambda: {image(pod) for pod in small.owned("pod")} == {second_image})
        small.wait_until_ready()

    index.expect_rows(small, stored)


def rolled(small: index.Index, unready: list[int]) -> bool:
    """Whether all shards ask for the new amount; notes how many are not ready meanwhile."""
    sets = small.owned("statefulset")
    unready.append(sum(one["status"].get("readyReplicas", 0) < 1 for one in sets))
    fresh = [
        one["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"] for one in sets
    ]
    settled = all(
        one["status"].get("updatedReplicas") == 1 and one["status"].get("readyReplicas") == 1 for one in sets
    )
    return settled and set(fresh) == {"160Mi"}


def image(pod: dict[str, Any]) -> str:
    """The image that a pod's container asks for."""
    return str(pod["spec"]["containers"][0]["image"])
