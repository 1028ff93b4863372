"""CPU of a follower that builds its own graphs, beside one that adopts its primary's.

`PYTHONPATH=tests python benchmarks/following.py ROWS DIMENSIONS ROUNDS`: a round loads rows into a primary
and its follower, two processes, until no row waits for a graph on either, and reads the follower's CPU
seconds from /proc: its own, and its builders'. Rounds alternate between the ways, so that what else goes
on hits all of them; the third way is an index without graphs, whose segments are merged only.
"""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from replicated import changes, group

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.api import shard_pb2 as pb

BATCH = 500
WAYS = ("builds", "adopts", "flat")
_REST = 5.0  # seconds for merges that follow
TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Spent:
    """CPU seconds of a follower: its own, its builders'; seconds until all was in a graph; bytes fetched."""

    own: float
    builders: float
    seconds: float
    fetched: float


class Server:
    """Starts shard nodes as the program is started, builders and all; see `crashing.warm.Server`."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, environment: dict[str, str], said: Path) -> int:
        """Start a node; returns its pid."""
        with said.open("ab") as words:
            command = [sys.executable, "-m", "vectorfleet_shardnode"]
            process = subprocess.Popen(command, env=os.environ | environment, stdout=words, stderr=words)
        self._processes[process.pid] = process
        return process.pid

    def wait(self, pid: int) -> int:
        """Wait for a node's end."""
        return self._processes[pid].wait()

    def ended(self, pid: int) -> int | None:
        """Return the exit status of a node, None while it runs."""
        return self._processes[pid].poll()

    def close(self) -> None:
        """End what still runs."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()


def cpu_of(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of a process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, child_user, child_system = (int(field) / TICKS for field in fields[11:15])
    return user + system, child_user + child_system


def fetched_by(replica: group.Replica) -> float:
    """Return the bytes of built segments that a replica has fetched."""
    with urllib.request.urlopen(f"http://{replica.host}:{replica.health_port}/metrics", timeout=5) as reply:
        found = re.search(
            r"^vectorfleet_segment_fetched_bytes_total ([0-9.e+]+)", reply.read().decode(), re.MULTILINE
        )
    return float(found.group(1)) if found else 0.0


def _without_graphs(made: group.Group) -> None:
    """Let a group that has not started yet search its rows exactly."""
    serving = made.config.serving.model_copy(update={"engine": config.EngineKind.FLAT})
    changed = made.config.model_copy(update={"serving": serving})
    for replica in made.replicas:
        (replica.folder / "index.json").write_text(changed.model_dump_json(by_alias=True))


def run(vectors: np.ndarray, way: str) -> Spent:
    """Load all vectors; returns what it cost the follower."""
    server = Server()
    tuning = {"build_anyway_seconds": 0} if way == "builds" else {}
    with tempfile.TemporaryDirectory() as folder:
        made = group.Group(server, Path(folder), 2, vectors.shape[1], **tuning)
        try:
            if way == "flat":
                _without_graphs(made)
            made.start()
            made.operator = changes.Operator(made)
            made.operator.begin()
            made.wait_for(lambda: made.primary() is not None)
            before, began = cpu_of(made.replicas[1].pid), time.monotonic()
            for first in range(0, len(vectors), BATCH):
                part = vectors[first : first + BATCH]
                ids = [f"row-{number}" for number in range(first, first + len(part))]
                rows = pb.Rows(ids=ids, vectors=part.tobytes(), metadata=[b""] * len(part))
                made.stubs[0].Write(pb.WriteRequest(upsert=pb.Upsert(rows=rows)), timeout=60)
            reports = lambda: [made.report(number) for number in (0, 1)]  # noqa: E731
            made.wait_for(
                lambda: all(one and not one.unindexed_rows and not one.building for one in reports()), 900
            )
            time.sleep(_REST)
            after = cpu_of(made.replicas[1].pid)
            seconds = time.monotonic() - began - _REST
            return Spent(after[0] - before[0], after[1] - before[1], seconds, fetched_by(made.replicas[1]))
        finally:
            made.close()
            server.close()


def main(rows: int, dimensions: int, rounds: int) -> None:
    """Print a line for each run."""
    vectors = np.random.default_rng(1).normal(size=(rows, dimensions)).astype("<f4")
    print("way own_cpu_s builders_cpu_s all_cpu_s seconds fetched_MB")
    for _ in range(rounds):
        for way in WAYS:
            spent = run(vectors, way)
            print(
                way,
                *(
                    f"{value:.2f}"
                    for value in (spent.own, spent.builders, spent.own + spent.builders, spent.seconds)
                ),
                f"{spent.fetched / 1e6:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
