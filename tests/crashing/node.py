"""A shard node for tests that kill it: its settings, and the process while it runs."""

import os
import signal
import time
import urllib.error
import urllib.request

import grpc
from services import loopback

from vectorfleet_shardnode import failpoints
from vectorfleet_shardnode.api import config, shard_pb2_grpc

TOKEN = "crashing-token"
DIMENSIONS = 8
BUSY = {
    "growing_rows": 120,
    "log_file_bytes": 60_000,
    "log_retained_bytes": 0,
    "unindexed_bytes": 4_000,
    "index_min_rows": 50,
    "settle_seconds": 0.03,
    "build_threads": 1,
    "build_yields": False,
    "build_niceness": 0,
}
"""Bounds so small that a second of writes flushes, builds, compacts and rotates several times.

Builders yield to nobody: they are to be killed at work, on a machine that has other things to do.
"""


def index_config():
    """Return what the node is configured for."""
    generation = config.Generation(dimensions=DIMENSIONS, metric=config.Metric.DOTPRODUCT)
    return config.IndexConfig(index="crashing", serving=generation)


class Node:
    """One node: `folder` holds its settings, `folder/data` its data, `folder/said` its words.

    Args:
        server: starts the process, a `warm.Server` or one that does the same.
        folder: an existing folder.
        tuning: bounds of the storage.
    """

    def __init__(self, server, folder, **tuning):
        self._server, self.folder, self.data = server, folder, folder / "data"
        (folder / "index.json").write_text(index_config().model_dump_json(by_alias=True))
        (folder / "token").write_text(TOKEN + "\n")
        self.environment = {
            "VECTORFLEET_CONFIG": str(folder / "index.json"),
            "VECTORFLEET_INTERNAL_TOKEN_FILE": str(folder / "token"),
            "VECTORFLEET_SHARD": "0",
            "VECTORFLEET_DATA_DIR": str(self.data),
            "VECTORFLEET_LOG_FORMAT": "text",
            **{f"VECTORFLEET_TUNING__{name.upper()}": str(value) for name, value in tuning.items()},
        }
        self.pid, self._channel = 0, None

    def start(self, failpoint=""):
        """Start the process without waiting for it."""
        self.port, self.health_port = loopback.free_port(), loopback.free_port()
        more = {
            "VECTORFLEET_GRPC_PORT": str(self.port),
            "VECTORFLEET_METRICS_PORT": str(self.health_port),
            failpoints.VARIABLE: failpoint,
        }
        self.pid = self._server.start(self.environment | more, self.folder / "said")

    def wait_until_ready(self):
        """Return a stub once the shard is served; None where the process ended before."""
        deadline = time.monotonic() + 60
        while not self.health("ready"):
            if self._server.ended(self.pid) is not None:
                return None
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.005)
        return self.stub()

    def serve(self, failpoint=""):
        """Start the process and return a stub; a port that was taken meanwhile is tried again."""
        for _ in range(3):
            self.start(failpoint)
            stub = self.wait_until_ready()
            if stub or failpoint:
                return stub
        raise AssertionError(f"the shard node does not start: {self.said()}")

    def stub(self):
        """Return a stub whose calls carry the token."""
        limits = [("grpc.max_receive_message_length", 64 << 20)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=limits)
        return _Stub(self._channel)

    def health(self, route):
        """Tell whether the health listener answers 200."""
        try:
            url = f"http://127.0.0.1:{self.health_port}/{route}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as refused:
            refused.close()
            return False
        except OSError:
            return False

    def kill(self, number=signal.SIGKILL):
        """Send a signal; `wait` waits for the end."""
        os.kill(self.pid, number)

    def wait(self):
        """Wait for the process's end; returns its status."""
        status = self._server.wait(self.pid)
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        return status

    def said(self):
        """Return the last of what the process said."""
        path = self.folder / "said"
        return path.read_text()[-3_000:] if path.exists() else ""


class _Stub:
    """The generated stub with the token in every call."""

    def __init__(self, channel):
        self._stub = shard_pb2_grpc.ShardStub(channel)

    def __getattr__(self, name):
        method = getattr(self._stub, name)
        return lambda request: method(request, metadata=[("authorization", f"Bearer {TOKEN}")], timeout=30)
