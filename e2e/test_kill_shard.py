"""Story: a shard's process dies without warning; what was acknowledged is there when it is back."""

from __future__ import annotations

import os
import signal

from harness import index, processes, stopwatch


def test_kill_9_loses_nothing(small: index.Index, timed: stopwatch.Stopwatch) -> None:
    """Kill -9 of a shard's process on its node: the kubelet starts it anew, and every row is there."""
    stored = index.load(small)
    before = restarts(small)
    with timed("kill -9 of a shard → serving again"):
        os.kill(processes.main_process(small, "small-g1-s0-0"), signal.SIGKILL)
        index.wait_until(lambda: restarts(small) > before)
        small.wait_until_ready()

    index.expect_rows(small, stored)


def test_deleted_pod_comes_back_with_its_volume(small: index.Index, timed: stopwatch.Stopwatch) -> None:
    """A shard's pod that is deleted without grace is made anew on the same volume."""
    stored = index.load(small)
    before = small.get("pod", "small-g1-s1-0")["metadata"]["uid"]
    with timed("shard pod deleted → serving again"):
        small.kubectl("delete", "pod", "small-g1-s1-0", "--force", "--grace-period=0")
        index.wait_until(lambda: small.get("pod", "small-g1-s1-0")["metadata"]["uid"] != before)
        small.kubectl("wait", "--for=condition=Ready", "pod/small-g1-s1-0", "--timeout=90s")

    index.expect_rows(small, stored)


def restarts(small: index.Index) -> int:
    """How often shard 0's container was started anew."""
    statuses = small.get("pod", "small-g1-s0-0")["status"]["containerStatuses"]
    return int(statuses[0]["restartCount"])
