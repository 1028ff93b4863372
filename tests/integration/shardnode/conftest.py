"""A shard node as its own process, on free ports, with a token."""

import http.client
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import grpc
import pytest
from crashing import lost_writes
from services import loopback

from vectorfleet_shardnode.api import config, shard_pb2_grpc

TOKEN = "integration-token"


class Node:
    """One shard node's settings, and the process while it runs."""

    def __init__(self, folder, dimensions=8, metric=config.Metric.EUCLIDEAN, **tuning):
        self.folder = folder
        self.configure(dimensions, metric)
        (folder / "token").write_text(TOKEN + "\n")
        self.environment = os.environ | {
            "VECTORFLEET_CONFIG": str(folder / "index.json"),
            "VECTORFLEET_INTERNAL_TOKEN_FILE": str(folder / "token"),
            "VECTORFLEET_SHARD": "0",
            "VECTORFLEET_DATA_DIR": str(folder / "data"),
            **{f"VECTORFLEET_TUNING__{name.upper()}": str(value) for name, value in tuning.items()},
        }
        self.preparation = None  # called in the child before it becomes the node
        self.process = None
        self.channel = None

    def configure(self, dimensions, metric):
        """Write the index's configuration."""
        generation = config.Generation(dimensions=dimensions, metric=metric)
        index = config.IndexConfig(index="crash", serving=generation)
        (self.folder / "index.json").write_text(index.model_dump_json(by_alias=True))

    def start(self):
        """Start the process without waiting for it."""
        self.port, self.health_port = loopback.free_port(), loopback.free_port()
        ports = {"VECTORFLEET_GRPC_PORT": str(self.port), "VECTORFLEET_METRICS_PORT": str(self.health_port)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vectorfleet_shardnode"],
            env=self.environment | ports,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=self.preparation,  # noqa: PLW1509 (it starts no thread and takes no lock)
        )
        return self

    def serve(self):
        """Start the process and wait until it serves; returns a stub."""
        self.start()
        deadline = time.monotonic() + 30
        while self.health("ready")[0] != 200:
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline, self.health("ready")
            time.sleep(0.02)
        return self.stub()

    def stub(self, token=TOKEN):
        """Return a stub whose calls carry the token."""
        limits = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=limits)
        return Stub(self.channel, [("authorization", f"Bearer {token}")] if token else [])

    def health(self, route):
        """Ask the health listener; returns status and text, 0 where nobody answers to the end."""
        try:
            return self._health(route)
        except (OSError, http.client.HTTPException):
            return 0, ""

    def _health(self, route):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/{route}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def end(self, number=signal.SIGTERM):
        """Send a signal and wait; returns the exit status."""
        if self.channel is not None:
            self.channel.close()
        self.process.send_signal(number)
        status = self.process.wait(20)
        self.said = self.process.stderr.read()
        self.process.stderr.close()
        return status


class Stub:
    """The generated stub with the token in every call."""

    def __init__(self, channel, metadata):
        self._stub = shard_pb2_grpc.ShardStub(channel)
        self._metadata = metadata

    def __getattr__(self, name):
        method = getattr(self._stub, name)
        return lambda request: method(request, metadata=self._metadata, timeout=30)


@pytest.fixture
def make_node(tmp_path):
    """Make nodes; those that still run at the end are killed."""
    made = []

    def make(**options):
        made.append(Node(tmp_path, **options))
        return made[-1]

    yield make
    for node in (one for one in made if one.process is not None):
        if node.process.poll() is None:
            node.end(signal.SIGKILL)
        node.process.stderr.close()


@pytest.fixture(scope="session")
def journal_library(tmp_path_factory):
    """The compiled library that records what a process does to its files."""
    return lost_writes.compile_journal(tmp_path_factory.mktemp("journal"))
