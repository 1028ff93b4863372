"""An index that `vectorfleet up` runs, for benchmarks that need its replicas, gateway and operator."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

from peers import ours, processes, rest

from vectorfleet_operator import ports
from vectorfleet_operator.adapters.local import folder as state_folder
from vectorfleet_operator.adapters.local import store, view

_MANIFEST = """apiVersion: vectorfleet.io/v1alpha1
kind: VectorIndex
metadata: {{name: bench}}
spec:
  model: {{name: measured, dimensions: {dimensions}}}
  metric: cosine
  shards: {shards}
  replicas: {replicas}
  storage: {{size: 4Gi}}
{more}"""

_PATIENCE = "300"  # seconds: a machine that is busy takes long


@dataclasses.dataclass(frozen=True)
class Fleet:
    """What `vectorfleet up` started in a state directory."""

    state: pathlib.Path

    def up(self, dimensions: int, replicas: int, shards: int = 1, more: str = "") -> None:
        """Make it so, and wait until it serves; `more` are lines of the spec."""
        manifest = self.state.parent / "index.yaml"
        wanted = {"dimensions": dimensions, "replicas": replicas, "shards": shards, "more": more}
        manifest.write_text(_MANIFEST.format(**wanted))
        self.run("up", "-f", str(manifest), "--timeout", _PATIENCE)

    def run(self, *told: str) -> str:
        """Run the command; return what it prints.

        Raises:
            RuntimeError: it failed; the message has its own words.
        """
        command = [str(pathlib.Path(sys.executable).with_name("vectorfleet")), *told]
        command += ["--state-dir", str(self.state)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"vectorfleet {' '.join(told)}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def down(self) -> None:
        """End everything, data included."""
        self.run("down", "--delete-data", "--timeout", _PATIENCE)

    def index(self) -> dict[str, Any]:
        """Return what `vectorfleet status` says of the index."""
        (found,) = json.loads(self.run("status", "--output", "json"))["indexes"]
        return dict(found)

    def seen(self) -> view.IndexView:
        """Return what `status` reads, without the second that a command takes."""
        (found,) = view.indexes(state_folder.Folder(self.state))
        return found

    def api(self) -> rest.Api:
        """Return how its gateway is spoken to."""
        index = self.index()
        return ours.api(index["endpoint"], pathlib.Path(index["apiKeyFile"]).read_text().strip())

    def shards(self) -> list[str]:
        """Return the addresses of the shards' pods."""
        return [pod["address"] for pod in self.index()["pods"] if "gateway" not in pod["name"]]

    def primaries(self) -> list[str]:
        """Return the name of each shard's primary; none where replicas are not elected."""
        shards = store.read(state_folder.Folder(self.state).objects, ports.VECTOR_SHARD)
        configured = [(one.get("status") or {}).get("configuration") or {} for one in shards]
        return [str(one["primary"]) for one in configured if one.get("primary")]

    def settle(self) -> None:
        """Wait until no replica has rows to build a graph of, or builds."""
        shards = self.shards()  # once: asking takes a process

        def busy() -> bool:
            names = ("vectorfleet_shard_unindexed_rows", "vectorfleet_shard_building")
            found = [gauge for name in names for gauge in gauges(shards, name)]
            return len(found) < len(names) * len(shards) or any(found)

        processes.settled(lambda: not busy())


@contextlib.contextmanager
def started(
    folder: pathlib.Path, dimensions: int, replicas: int, shards: int = 1, more: str = ""
) -> Iterator[Fleet]:
    """Bring an index up in a folder, see `Fleet.up`; it is gone afterwards."""
    fleet = Fleet(folder / "state")
    try:
        fleet.up(dimensions, replicas, shards, more)
        yield fleet
    finally:
        fleet.down()


def gauges(addresses: list[str], name: str) -> list[float]:
    """Return a gauge of each of some pods; none where one does not answer."""
    try:
        return [sum(series(address, name)) for address in addresses]
    except OSError:
        return []


def series(address: str, name: str) -> list[float]:
    """Return every series of a metric of a pod.

    Raises:
        OSError: it does not answer.
    """
    host = address.partition(":")[0]
    with urllib.request.urlopen(f"http://{host}:9090/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
