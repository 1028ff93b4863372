"""SIGKILL at each named failpoint: around every fsync, rename, manifest swap, log cut and deletion.

The list of failpoints is the product's own, so a new one is tested as soon as it has a name; and an armed
process refuses a name that is not on it.
"""

import random
import signal
import time
import zlib

import grpc
import pytest
from crashing import history, node, warm

from vectorfleet_shardnode import failpoints
from vectorfleet_shardnode.log import log_files

CLIENTS = 3
AT_SET_UP = ("identity.", "setup.")
AT_START = ("recovery.", "start.")
AT_REPLICAS = (
    "replica.",
    "cut.",
    "install.",
    "write-ids.",
    "rebuild.",
)  # no node that is alone comes by these: see test_shardnode_replica_failpoints.py


@pytest.fixture(scope="module")
def server():
    """What starts the nodes."""
    opened = warm.Server()
    yield opened
    opened.close()


class Life:
    """A node's life in parts; what was answered in one is checked in the next."""

    def __init__(self, server, folder, seed):
        self.node = node.Node(server, folder, **node.BUSY)
        self.seed, self.part = seed, 0
        self.rows, self.clients = [{}] * CLIENTS, []

    def write_until(self, failpoint="", seconds=20.0):
        """Start, check, and write until the failpoint or SIGKILL ends it; returns the status."""
        self.part += 1
        stub = self.node.serve(failpoint)
        if stub and self.is_checked(stub):
            self.clients = history.start(stub, self.rows, f"{self.seed}-{self.part}")
            if not failpoint:
                time.sleep(seconds)
                self.node.kill()
            for client in self.clients:
                client.join(20)
                assert not client.is_alive(), f"{failpoint} was not reached"
        return self.node.wait()

    def is_checked(self, stub):
        """Check what is served; False where the failpoint was reached meanwhile."""
        try:
            self.check(stub)
        except grpc.RpcError as failure:
            if failure.code() is grpc.StatusCode.UNAVAILABLE:
                return False
            raise
        return True

    def check(self, stub):
        """Compare what is served with what was answered so far."""
        if self.clients:
            self.rows = history.check(stub, self.clients)

    def check_after_restart(self):
        """Start once more and compare."""
        self.check(self.node.serve())
        self.node.kill()
        self.node.wait()

    def tear_the_log(self):
        """Leave the beginning of a record behind the newest log file, as a cut-off write does."""
        with log_files.paths(self.node.data / "log")[-1].open("ab") as newest:
            newest.write(b"VFR1" + bytes(700))


@pytest.mark.parametrize("name", [name for name in failpoints.REGISTERED if not name.startswith(AT_REPLICAS)])
def test_r05_killed_at_a_failpoint(server, tmp_path, name):
    """After SIGKILL there, early in a life and later: every answered row bit for bit, and nothing undead."""
    drawn = random.Random(zlib.crc32(name.encode()))
    life = Life(server, tmp_path, name)
    if not name.startswith(AT_SET_UP):
        life.write_until(seconds=drawn.uniform(0.05, 0.2))
        life.tear_the_log()
    assert life.write_until(f"{name}:1") == -signal.SIGKILL
    if not name.startswith(AT_SET_UP + AT_START):
        assert life.write_until(f"{name}:{drawn.randint(2, 5)}") == -signal.SIGKILL
    life.check_after_restart()


def test_a_failpoint_that_does_not_exist_ends_the_start(server, tmp_path):
    """A misspelt name is told, instead of a test that waits for nothing."""
    alone = node.Node(server, tmp_path)
    assert alone.serve("log.apended:1") is None
    assert alone.wait() == 1
    assert 'VECTORFLEET_FAILPOINT is "log.apended:1"' in alone.said()
