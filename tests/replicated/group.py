"""The replicas of one shard as real processes, each reaching each other one through a proxy of its own.

Replica i listens on 127.9.0.(10 + i); what i sends to j goes through a proxy on 127.(10 + i).0.(10 + j).
All use one port, since a hosts file gives names addresses and no ports.
"""

import os
import signal
import time
import urllib.request

import grpc
from crashing import node
from replicated import proxy
from services import loopback

from vectorfleet_shardnode.api import config, replication_pb2, replication_pb2_grpc, shard_pb2, shard_pb2_grpc

METADATA = [("authorization", f"Bearer {node.TOKEN}")]


class Replica(node.Node):
    """One replica's process."""

    def __init__(self, server, folder, group, number, **tuning):
        super().__init__(server, folder, **tuning)
        self.number, self.name = number, f"r{number}"
        self.host = f"127.9.0.{10 + number}"
        self.stopped = False
        self._group = group
        (folder / "index.json").write_text(group.config.model_dump_json(by_alias=True))
        (folder / "hosts").write_text(group.hosts(number))
        self.environment |= {
            "VECTORFLEET_REPLICATED": "true",
            "VECTORFLEET_POD_NAME": self.name,
            "VECTORFLEET_HOST": self.host,
            "VECTORFLEET_HOSTS_FILE": str(folder / "hosts"),
        }

    @property
    def target(self):
        """Where it listens, as others than replicas reach it."""
        return f"{self.host}:{self._group.port}"

    def start(self, failpoint=""):
        """Start the process without waiting for it."""
        self.health_port = loopback.free_port()
        more = {
            "VECTORFLEET_GRPC_PORT": str(self._group.port),
            "VECTORFLEET_METRICS_PORT": str(self.health_port),
            "VECTORFLEET_FAILPOINT": failpoint,
        }
        self.pid = self._server.start(self.environment | more, self.folder / "said")

    def turn_into(self, server):
        """End it, and let another server start it: another version of the program."""
        self.end()
        self._server = server

    def stop(self):
        """Stop it in the middle of whatever it does; `go_on` lets it go on."""
        os.kill(self.pid, signal.SIGSTOP)
        self.stopped = True

    def go_on(self):
        """Let it go on."""
        if self.stopped:
            os.kill(self.pid, signal.SIGCONT)
            self.stopped = False

    def end(self, number=signal.SIGKILL):
        """End the process; returns its status."""
        self.go_on() if number != signal.SIGKILL else None
        self.kill(number)
        self.stopped = False
        return self._server.wait(self.pid)

    def metric(self, name):
        """Return what it shows Prometheus under a name, labels and all; 0 where it shows nothing."""
        url = f"http://{self.host}:{self.health_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as reply:
            lines = reply.read().decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    @property
    def runs(self):
        """Whether the process is there."""
        return bool(self.pid) and self._server.ended(self.pid) is None


class Stub:
    """Shard and Replication of one replica, with the token and a deadline in every call."""

    def __init__(self, target):
        limits = [
            ("grpc.max_receive_message_length", 64 << 20),
            ("grpc.max_reconnect_backoff_ms", 200),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        self._channel = grpc.insecure_channel(target, options=limits)
        self._shard = shard_pb2_grpc.ShardStub(self._channel)
        self._replication = replication_pb2_grpc.ReplicationStub(self._channel)

    def __getattr__(self, name):
        method = getattr(self._shard, name, None) or getattr(self._replication, name)
        return lambda request, timeout=5: method(request, metadata=METADATA, timeout=timeout)

    def close(self):
        self._channel.close()


class Group:
    """Some replicas and the network between them."""

    def __init__(
        self, server, folder, count, dimensions=node.DIMENSIONS, metric=config.Metric.EUCLIDEAN, **tuning
    ):
        self._server, self._folder, self._tuning = server, folder, tuning
        self.count, self.port = count, loopback.free_port(_addresses(count))
        generation = config.Generation(
            dimensions=dimensions,
            metric=metric,
            shards=(
                config.ShardAddress(
                    number=0, replicas=tuple(f"r{number}.group.test:{self.port}" for number in range(count))
                ),
            ),
        )
        self.config = config.IndexConfig(index="crashing", serving=generation)
        self.network = proxy.Network()
        for one in range(count):
            for other in range(count):
                if one != other:
                    listen = (f"127.{10 + one}.0.{10 + other}", self.port)
                    self.network.add((one, other), listen, (f"127.9.0.{10 + other}", self.port))
        self.replicas = [self._make(number) for number in range(count)]
        self.stubs = [Stub(replica.target) for replica in self.replicas]

    def _make(self, number):
        folder = self._folder / f"r{number}"
        folder.mkdir(parents=True, exist_ok=True)
        return Replica(self._server, folder, self, number, **self._tuning)

    def hosts(self, number):
        """Return the hosts file of a replica: the others behind its proxies."""
        ways = [
            f"127.{10 + number}.0.{10 + other} r{other}.group.test"
            for other in range(self.count)
            if other != number
        ]
        return "\n".join([*ways, f"127.9.0.{10 + number} r{number}.group.test"]) + "\n"

    def start(self):
        """Start all replicas, and wait until each answers."""
        for replica in self.replicas:
            replica.start()
        deadline = time.monotonic() + 60
        for number in range(self.count):
            while self.state(number) is None:
                assert time.monotonic() < deadline, self.replicas[number].said()
                time.sleep(0.01)
        return self

    def state(self, number):
        """Return a replica's part in the shard, None where it does not answer."""
        report = self.report(number)
        return report.replica if report is not None else None

    def report(self, number):
        """Return a replica's report, None where it does not answer."""
        try:
            return self.stubs[number].Report(shard_pb2.ReportRequest(), timeout=1)
        except grpc.RpcError:
            return None

    def are_level(self, numbers=None):
        """Tell whether replicas have the same log, all of it committed and shown to readers."""
        reports = [self.report(number) for number in (range(self.count) if numbers is None else numbers)]
        if None in reports:
            return False
        places = {
            (one.position.seq, one.replica.committed, one.replica.last.seq, one.replica.last.epoch)
            for one in reports
        }
        return len(places) == 1 and len(set(next(iter(places))[:3])) == 1

    def primary(self):
        """Return the number of the replica that takes writes, None where none does."""
        states = [(number, self.state(number)) for number in range(self.count)]
        found = [
            (state.promised, number)
            for number, state in states
            if state is not None and state.role == replication_pb2.PRIMARY and state.acknowledges
        ]
        return max(found)[1] if found else None

    def wait_for(self, what, seconds=30):
        """Wait until `what()` is true; returns it."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, self.describe()
            time.sleep(0.02)
        return found

    def isolate(self, number, *directions):
        """Cut a replica off from the others."""
        for (one, other), link in self.network.links.items():
            if number in (one, other):
                link.block(*directions)

    def describe(self):
        """Return what each replica says, for a test that failed."""
        return "\n".join(f"--- r{n}: {self.state(n)}\n{r.said()}" for n, r in enumerate(self.replicas))

    def close(self):
        """End everything."""
        for replica in self.replicas:
            if replica.runs:
                replica.end()
        for stub in self.stubs:
            stub.close()
        self.network.close()


def _addresses(count):
    """Return every address of a group of so many."""
    hosts = [f"127.9.0.{10 + n}" for n in range(count)]
    return [*hosts, *(f"127.{10 + n}.0.{10 + m}" for n in range(count) for m in range(count))]
