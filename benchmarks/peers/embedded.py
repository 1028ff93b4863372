"""LanceDB and Milvus Lite, libraries without a server: each in a process of its own environment."""

import contextlib
import json
import pathlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import contender, installed, workload

_WORKERS = pathlib.Path(__file__).with_name("workers")
_ANSWER = "ANSWER "
_MOST_THREADS = 8


class Running:
    """A worker, spoken to by lines of JSON; see `workers/answering.py`."""

    def __init__(self, process: subprocess.Popen[str], work: workload.Workload) -> None:
        self.roots: Sequence[int] = [process.pid]
        self._process, self._work = process, work

    def _say(self, do: str, **told: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, "k": self._work.k, **told}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(_ANSWER):
                return json.loads(line.removeprefix(_ANSWER))
        raise RuntimeError(f"{self._process.args!r} ended by itself")

    def prepare(self, work: workload.Workload) -> list[bytes]:  # noqa: ARG002  # arrays are taken as they are
        """Return nothing: the worker reads the rows from a file."""
        return []

    def load(self, bodies: list[bytes]) -> None:  # noqa: ARG002  # see prepare
        """Write all rows."""
        self._say("load")

    def settle(self) -> float:
        """Wait until the index is made."""
        self._say("settle")
        return time.perf_counter()

    def answers(self, effort: int) -> NDArray[np.int64]:
        """Ask every query once."""
        found = self._say("answers", effort=effort)
        return np.array([(rows + [-1] * self._work.k)[: self._work.k] for rows in found])

    def press(self, effort: int, pressure: contender.Pressure) -> contender.Load:
        """Ask by threads of the worker."""
        threads = min(pressure.connections, _MOST_THREADS)
        took = self._say("press", effort=effort, seconds=pressure.seconds, connections=threads)
        p50, p95, p99 = np.percentile(took, [50, 95, 99]) * 1000
        return contender.Load(len(took) / pressure.seconds, p50, p95, p99)


class Embedded:
    """A library in a worker.

    Args:
        name: of the contender.
        key: of its environment and its worker.
        package: whose version counts.
        settings: what differs from how it comes.
    """

    served = False
    durable = "on disk, as the library has it"
    driver = "up to 8 threads of its own client"
    efforts = contender.EFFORTS

    def __init__(self, name: str, key: str, package: str, settings: str) -> None:
        self.name, self.settings = name, settings
        self.origin = f"`{installed.pip(key)}`"
        self.command = f"`python {key}_worker.py …`, in an environment of its own"
        self._key, self._package = key, package

    def version(self) -> str:
        """Return the package's version."""
        return installed.version_of(self._key, self._package)

    @contextlib.contextmanager
    def start(self, folder: pathlib.Path, work: workload.Workload) -> Iterator[Running]:
        """Start the worker."""
        np.save(folder / "stored.npy", work.data.stored)
        np.save(folder / "asked.npy", work.data.asked)
        program = str(installed.environment(self._key) / "bin" / "python")
        command = [program, str(_WORKERS / f"{self._key}_worker.py"), str(folder)]
        with (folder / "worker.log").open("w") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            yield Running(process, work)
        finally:
            process.kill()
            process.wait()


LANCEDB = Embedded(
    "LanceDB, in process",
    "lancedb",
    "lancedb",
    f"IVF_HNSW_SQ, one partition, m {contender.M}, ef_construction {contender.EF_CONSTRUCTION}, "
    "refine_factor 2, dot over unit vectors",
)
MILVUS = Embedded(
    "Milvus Lite, in process",
    "milvus",
    "milvus-lite",
    f"HNSW M {contender.M}, efConstruction {contender.EF_CONSTRUCTION}, IP over unit vectors, batches of 500",
)
