"""An index on this machine for as long as a block runs: `vectorfleet up` before, `vectorfleet down` after."""

import contextlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from typing import Any

import yaml

COMMAND = pathlib.Path(sys.executable).parent / "vectorfleet"
_UNSETTLED = re.compile(r"^vectorfleet_shard_(unindexed_rows|building)\S* (\S+)$", re.MULTILINE)


class Cluster:
    """The embedded default in a state directory of its own."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def up(self, manifest: pathlib.Path, dimensions: int) -> None:
        """Start the operator and a manifest's index, adapted to a dimension, and wait until it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = yaml.safe_load(manifest.read_text())
        if wanted["spec"]["model"]["dimensions"] != dimensions:
            wanted["spec"]["model"]["dimensions"] = dimensions
            manifest = self.folder / manifest.name
            manifest.write_text(yaml.safe_dump(wanted))
        subprocess.run(
            [COMMAND, "up", "-f", manifest, *self.state()], check=True, capture_output=True, text=True
        )

    def down(self) -> None:
        """End everything that was started, and remove its data. A second Ctrl-C does not cut this short."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        command = [COMMAND, "down", "--delete-data", *self.state()]
        subprocess.run(command, check=True, capture_output=True, text=True, start_new_session=True)
        shutil.rmtree(self.folder)

    def index(self) -> dict[str, Any]:
        """Return the one index, as `vectorfleet status` tells it."""
        done = subprocess.run(
            [COMMAND, "status", "-o", "json", *self.state()], capture_output=True, check=False
        )
        found: dict[str, Any] = json.loads(done.stdout)["indexes"][0]
        return found

    def unindexed_rows(self) -> int:
        """Return how many rows no graph covers yet; 0 only once nothing is being built either."""
        rows = 0
        for pod in self.index()["pods"]:
            url = f"http://{pod['address']}:9090/metrics"
            with urllib.request.urlopen(url, timeout=10) as answer:
                values = dict(_UNSETTLED.findall(answer.read().decode()))
            rows += max(int(float(values.get("unindexed_rows", 0))), int(float(values.get("building", 0))))
        return rows

    def state(self) -> list[str]:
        """Return the option that names this cluster."""
        return ["--state-dir", str(self.folder)]


@contextlib.contextmanager
def temporary(*, keep: bool) -> Iterator[Cluster]:
    """Yield a cluster; take it down at the end however the block ends, unless it is to be kept."""
    cluster = Cluster(pathlib.Path(tempfile.mkdtemp(prefix="vectorfleet-run-")))
    try:
        yield cluster
    finally:
        if not keep:
            cluster.down()
