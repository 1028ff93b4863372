"""Story: whatever is planned, from a drain to fewer replicas, is done while clients write and notices none.

Clients write and read all the while. Writers use the SDK's retries, readers none. The times are printed.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cluster import errors
from harness import index, load, shard

SECONDS = 120
WARM_UP_SECONDS = 2.0


def test_a_drain_hands_over(three: shard.Shard, recorded: load.Recorder) -> None:
    """The node of the primary is drained: another leads before its pod goes, and only one may be away."""
    number, before = three.lead_alone(), three.primary
    other = next(name for name in three.members if name != before)
    with _cordoned(three.of), recorded("the primary's node is drained") as clients:
        time.sleep(WARM_UP_SECONDS)
        clients.event()
        _drain(three, f"kn{number}", SECONDS)
        assert three.primary != before
        with pytest.raises(errors.ClusterError, match=r"disruption budget|timed out"):
            _drain(three, three.node(other), 3)
        clients.expect_writes(SECONDS)


def test_an_image_is_rolled(three: shard.Shard, second_image: str, recorded: load.Recorder) -> None:
    """A new image is rolled out: one pod at a time, the primary's last and after it handed over."""
    tag = second_image.rpartition(":")[2]
    with recorded("the image is rolled") as clients:
        time.sleep(WARM_UP_SECONDS)
        clients.event()
        three.of.kubectl(
            "patch", "vi", three.of.name, "--type=merge", "-p", f'{{"spec": {{"image": {{"tag": "{tag}"}}}}}}'
        )
        index.wait_until(lambda: _images(three) == {second_image}, SECONDS)
        three.wait_until_whole()
        clients.expect_writes(SECONDS)


def test_a_lost_volume_is_filled_again(three: shard.Shard, recorded: load.Recorder) -> None:
    """A member's volume and pod are deleted: the new, empty one is filled and takes its place."""
    victim = next(name for name in three.members if name != three.primary)
    before = three.disk(victim)
    with recorded("a member's volume is deleted") as clients:
        time.sleep(WARM_UP_SECONDS)
        clients.event()
        three.of.kubectl("delete", "pvc", f"data-{victim}", "--wait=false")
        three.of.kubectl("delete", "pod", victim, "--force", "--grace-period=0", "--wait=false")
        index.wait_until(lambda: three.disk(victim) not in ("", before), SECONDS)
        three.wait_until_whole()
        clients.expect_writes(SECONDS)


def test_volumes_grow(three: shard.Shard, recorded: load.Recorder) -> None:
    """Once the StorageClass lets them: claims and StatefulSet ask for more, and the pods are the same."""
    before, pods = _stateful_set(three), {name: three.uid(name) for name in three.members}
    three.patch({"storage": {"size": "2Gi"}})
    index.wait_until(lambda: three.of.condition("VolumesTooSmall").get("status") == "True")
    assert "must support resize" in three.of.condition("VolumesTooSmall")["message"]
    three.patch({"storage": {"size": "1Gi"}})  # taken back, and asked for again
    index.wait_until(lambda: three.of.condition("VolumesTooSmall").get("status") == "False")
    three.patch({"storage": {"size": "2Gi"}})
    with recorded("volumes grow") as clients, _expandable(three.of):
        clients.event()
        index.wait_until(lambda: _stateful_set(three)["metadata"]["uid"] != before["metadata"]["uid"])
        for name in three.members:
            _be_the_driver(three.of, f"data-{name}")
        three.wait_until_whole()
    [template] = _stateful_set(three)["spec"]["volumeClaimTemplates"]
    assert template["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert {name: three.uid(name) for name in three.members} == pods
    with pytest.raises(errors.ClusterError, match="may only grow"):
        three.patch({"storage": {"size": "1Gi"}})


def test_replicas_come_and_go(three: shard.Shard, recorded: load.Recorder) -> None:
    """From 3 replicas to 1, to 3, to 2: members leave and join one by one, and no row is missed."""
    with recorded("replicas 3 → 1 → 3 → 2") as clients:
        time.sleep(WARM_UP_SECONDS)
        clients.event()
        for count in (1, 3, 2):
            three.scale(count)
            three.wait_until_whole(count)
        clients.expect_writes(SECONDS)
    assert three.members == [f"{three.name}-{ordinal}" for ordinal in range(2)]


def _stateful_set(three: shard.Shard) -> dict[str, Any]:
    return three.of.get("statefulset", three.name)


@contextlib.contextmanager
def _expandable(of: index.Index) -> Iterator[None]:
    """The StorageClass lets volumes grow meanwhile."""

    def let(value: bool) -> None:
        of.kubectl("patch", "storageclass", "local", "-p", json.dumps({"allowVolumeExpansion": value}))

    let(True)
    try:
        yield
    finally:
        let(False)


def _be_the_driver(of: index.Index, claim: str) -> None:
    """Tell that a volume has grown, as the driver of a class that can expand would: this one has none."""
    asked = of.get("pvc", claim)["spec"]["resources"]["requests"]
    told = json.dumps({"status": {"capacity": asked}})
    of.kubectl("patch", "pvc", claim, "--subresource=status", "--type=merge", "-p", told)


def _images(three: shard.Shard) -> set[str]:
    return {one["spec"]["containers"][0]["image"] for one in three.of.owned("pod")}


def _drain(three: shard.Shard, node: str, seconds: int) -> None:
    chosen = f"--pod-selector=vectorfleet.io/index={three.of.name},app.kubernetes.io/component=shard"
    words = ("--ignore-daemonsets", "--delete-emptydir-data", chosen, f"--timeout={seconds}s")
    three.of.cluster.kubectl("drain", node, *words, timeout=seconds + 30)


@contextlib.contextmanager
def _cordoned(of: index.Index) -> Iterator[None]:
    """No pod finds a place meanwhile, so that one that is evicted stays away; what runs, runs on."""
    nodes = [one["metadata"]["name"] for one in of.cluster.kubectl.get("nodes")["items"]]
    of.cluster.kubectl("cordon", *nodes)
    try:
        yield
    finally:
        of.cluster.kubectl("uncordon", *nodes)
