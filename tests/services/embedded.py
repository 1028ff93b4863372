"""The embedded default in a state directory of a test's own: the command on it, and what it tells."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import yaml

import vectorfleet
from vectorfleet_operator import ports
from vectorfleet_operator.adapters.local import folder, lock, store, view

PROGRAM = pathlib.Path(sys.executable).parent / "vectorfleet"


@dataclasses.dataclass
class Local:
    """A state directory, and the command on it."""

    folder: pathlib.Path

    @staticmethod
    def manifest(name: str = "small", namespace: str = "default", **spec: Any) -> dict[str, Any]:
        """Return a VectorIndex of 2 shards and 8 dimensions; `spec` adds to it or replaces."""
        usual = {"model": {"name": "random", "dimensions": 8}, "metric": "euclidean", "shards": 2}
        return {
            "apiVersion": "vectorfleet.io/v1alpha1",
            "kind": "VectorIndex",
            "metadata": {"name": name, "namespace": namespace},
            "spec": usual | {"gateway": {"replicas": 1}} | spec,
        }

    @staticmethod
    def wait_until(reached: Callable[[], object], seconds: float = 60) -> None:
        """Return once `reached` is true."""
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end, f"not reached within {seconds:g} s"
            time.sleep(0.1)

    @property
    def state(self) -> pathlib.Path:
        """The state directory; its name has a blank, as a user's may."""
        return self.folder / "the state"

    def run(self, *words: str, timeout: float = 90) -> "subprocess.CompletedProcess[str]":
        """Run `vectorfleet`."""
        command = [PROGRAM, *words, "--state-dir", str(self.state)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def up(self, *manifests: dict[str, Any], **how: Any) -> "subprocess.CompletedProcess[str]":
        """Run `vectorfleet up` with manifests."""
        path = self.folder / "manifests.yaml"
        path.write_text(yaml.safe_dump_all(manifests))
        return self.run("up", "-f", str(path), **how)

    def index(self, name: str = "small") -> dict[str, Any]:
        """Return what `vectorfleet status` tells of an index."""
        found = json.loads(self.run("status", "--output", "json").stdout)["indexes"]
        return next(one for one in found if one["name"] == name)

    def seen(self, name: str = "small") -> view.IndexView:
        """Return what `status` reads, without the second that a command takes."""
        found = view.indexes(folder.Folder(self.state))
        return next(one for one in found if (one.namespace, one.name) == ("default", name))

    def stateful_sets(self) -> tuple[dict[str, Any], ...]:
        """Return the StatefulSets, as they are kept."""
        return store.read(folder.Folder(self.state).objects, ports.STATEFUL_SET)

    def pids(self, name: str = "small") -> dict[str, int]:
        """Return the pid of each pod of an index."""
        return {pod.name: pod.pid for pod in self.seen(name).pods}

    def client(self, name: str = "small") -> vectorfleet.Client:
        """Return the SDK on an index."""
        found = self.seen(name)
        return vectorfleet.Client(found.endpoint, pathlib.Path(found.api_key_file).read_text())

    def supervisor(self) -> int:
        """Return the supervisor's pid."""
        pid = lock.holder(folder.Folder(self.state))
        assert pid is not None
        return pid

    def kill_supervisor(self) -> None:
        """End the supervisor with SIGKILL; its pods stay."""
        os.kill(self.supervisor(), signal.SIGKILL)
        self.wait_until(lambda: not lock.is_held(folder.Folder(self.state)))

    def processes(self) -> list[int]:
        """Return every process that was started for this state directory."""
        mark = str(self.state).encode()
        found = []
        for place in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                told = (place / "cmdline").read_bytes() + b"\0" + (place / "environ").read_bytes()
            except OSError:
                continue
            if mark in told and int(place.name) != os.getpid():
                found.append(int(place.name))
        return found

    def end(self) -> None:
        """Take everything down, data included; whatever was started here is gone afterwards."""
        self.run("down", "--delete-data")
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
