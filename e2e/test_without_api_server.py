"""Story: the API server is away; nobody who writes or reads needs it.

It is the last of the stories: kubelets and kube-proxies ask for it again after up to a minute, and hear late
of pods that end and of services whose pods have moved.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from harness import handle, load, processes, shard

AWAY_SECONDS = 60
WARM_UP_SECONDS = 2.0


def test_writes_need_no_api_server(three: shard.Shard, recorded: load.Recorder) -> None:
    """The API server is away for a minute, and a follower's process dies in it: clients notice nothing."""
    follower = next(name for name in three.members if name != three.primary)
    victim = processes.main_process(three.of, follower)
    with recorded("the API server is away for a minute") as clients:
        time.sleep(WARM_UP_SECONDS)
        clients.event()
        with _no_api_server(three.of.cluster):
            time.sleep(AWAY_SECONDS / 2)
            os.kill(victim, signal.SIGKILL)
            time.sleep(AWAY_SECONDS / 2)
            clients.expect_writes(1)
    assert not clients.history.retried


@contextlib.contextmanager
def _no_api_server(cluster: handle.Handle) -> Iterator[None]:
    cluster.switch("api-stop")
    try:
        yield
    finally:
        cluster.switch("api-start")
