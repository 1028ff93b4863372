"""Vectorfleet: `vectorfleet serve`, one process; and gateway and shard node apart, as in a cluster."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import sys
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import contender, processes, rest, workload

KEY = "benchmark"
BATCH = 500


class Running:
    """A server of ours."""

    def __init__(self, roots: Sequence[int], api: rest.Api, probes: Sequence[int], asked: rest.Asked) -> None:
        self.roots = roots
        self.api = api
        self._probes, self._asked = probes, asked

    def prepare(self, work: workload.Workload) -> list[bytes]:
        """Return the bodies of the upserts."""
        return [upsert(work, piece) for piece in work.pieces(BATCH)]

    def load(self, bodies: Iterable[bytes]) -> None:
        """Upsert all rows."""
        rest.send_all(self.api, "POST", "/vectors/upsert", bodies)

    def settle(self) -> float:
        """Wait until no row waits for a graph, and nothing is built."""
        return processes.settled(lambda: not self._busy())

    def _busy(self) -> bool:
        return any(map(_builds, self._probes))

    def answers(self, effort: int) -> NDArray[np.int64]:
        """Ask every query once."""
        return self._asked.answers(effort)

    def press(self, effort: int, pressure: contender.Pressure) -> contender.Load:
        """Let wrk ask."""
        return self._asked.press(effort, pressure)


def upsert(work: workload.Workload, piece: range) -> bytes:
    """Return the body that writes some rows."""
    rows = [
        {"id": str(number), "values": values, "metadata": work.metadata(number)}
        for number, values in zip(piece, work.data.stored[piece.start : piece.stop].tolist(), strict=True)
    ]
    return json.dumps({"vectors": rows}).encode()


def api(url: str, key: str = KEY) -> rest.Api:
    """Return how a gateway of ours is spoken to."""

    def body(vector: list[float], k: int, effort: int) -> object:
        return {"vector": vector, "topK": k, "params": {"efSearch": effort}}

    def found(answer: Any) -> list[int]:
        return [int(match["id"]) for match in answer["matches"]]

    return rest.Api(url, {"Api-Key": key}, "/query", body, found)


class Serve:
    """One process."""

    name = "Vectorfleet, serve"
    served = True
    origin = "this repository"
    command = "`vectorfleet serve --data-dir … --dimensions … --port … --metrics-port … --api-key …`"
    settings = f"profile balanced (M 16, efConstruction 128), upserts of {BATCH} rows"
    durable = "on disk (fsync)"
    driver = "wrk"
    efforts = contender.EFFORTS

    def version(self) -> str:
        """Return the distribution's version."""
        return importlib.metadata.version("vectorfleet")

    def __init__(self, *options: str) -> None:
        self._options = options

    @contextlib.contextmanager
    def start(self, folder: pathlib.Path, work: workload.Workload) -> Iterator[Running]:
        """Run `vectorfleet serve`."""
        port, probes, log = processes.free_port(), processes.free_port(), folder / "serve.log"
        command = [str(pathlib.Path(sys.executable).with_name("vectorfleet")), "serve"]
        command += ["--data-dir", str(folder / "data"), "--dimensions", str(work.dimensions)]
        command += ["--port", str(port), "--metrics-port", str(probes), "--api-key", KEY]
        command += self._options
        with processes.started(command, log) as process:
            processes.wait_until(lambda: _ready(probes), process, log)
            spoken = api(f"http://127.0.0.1:{port}")
            asked = rest.Asked(spoken, work, folder)
            yield Running([process.pid], spoken, [probes], asked)


class Workers(Serve):
    """As many processes as there are cores, two at least, behind one port."""

    name = "Vectorfleet, serve --workers"

    def __init__(self) -> None:
        count = max(2, len(os.sched_getaffinity(0)))
        super().__init__("--workers", str(count))
        self.settings = f"{Serve.settings}; as many processes as cores, two at least"
        self.command = Serve.command.removesuffix("`") + " --workers …`"


class Apart:
    """A gateway and shard nodes on one machine, gRPC between them.

    Args:
        shards: how many nodes, each of a shard of its own.
    """

    def __init__(self, shards: int = 1) -> None:
        self._shards = shards

    name = "Vectorfleet, gateway and shard"
    served = True
    origin = Serve.origin
    command = "`python -m vectorfleet_shardnode`, `python -m vectorfleet_gateway`"
    settings = f"{Serve.settings}; a token between the two, no TLS"
    durable = Serve.durable
    driver = "wrk"
    efforts = contender.EFFORTS

    def version(self) -> str:
        """Return the distribution's version."""
        return importlib.metadata.version("vectorfleet")

    @contextlib.contextmanager
    def start(self, folder: pathlib.Path, work: workload.Workload) -> Iterator[Running]:
        """Run all processes."""
        places = [(processes.free_port(), processes.free_port()) for _ in range(self._shards)]
        port, own = processes.free_port(), processes.free_port()
        _configure(folder, work.dimensions, [grpc for grpc, _ in places])
        usual = {"CONFIG": folder / "index.json", "INTERNAL_TOKEN_FILE": folder / "token"}
        asked = [("vectorfleet_gateway", {"HTTP_PORT": port, "API_KEYS_DIR": folder / "keys"}, own)]
        for number, (grpc, probe) in enumerate(places):
            data = folder / f"data-{number}"
            data.mkdir()
            node = {"SHARD": number, "DATA_DIR": data, "GRPC_PORT": grpc}
            asked.append(("vectorfleet_shardnode", node, probe))
        with contextlib.ExitStack() as stack:
            started = []
            for module, told, probe in reversed(asked):
                log = folder / f"{module}-{probe}.log"
                every = usual | told | {"METRICS_PORT": probe}
                env = {f"VECTORFLEET_{name}": str(value) for name, value in every.items()}
                process = stack.enter_context(processes.started([sys.executable, "-m", module], log, env))
                processes.wait_until(lambda probe=probe: _ready(probe), process, log)  # type: ignore[misc]
                started.append(process.pid)
            spoken = api(f"http://127.0.0.1:{port}")
            yield Running(started, spoken, [probe for _, probe in places], rest.Asked(spoken, work, folder))


def _configure(folder: pathlib.Path, dimensions: int, ports: Sequence[int]) -> None:
    shards = [{"number": number, "replicas": [f"127.0.0.1:{port}"]} for number, port in enumerate(ports)]
    serving = {"dimensions": dimensions, "metric": "cosine", "shards": shards}
    (folder / "index.json").write_text(json.dumps({"index": "bench", "serving": serving}))
    for name, secret in (("keys/api-key", KEY), ("token", "between-the-two")):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(secret)
        path.chmod(0o600)


def _builds(port: int) -> bool:
    """Return whether rows of a node wait for a graph, or one is built."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    waiting = ("vectorfleet_shard_unindexed_rows", "vectorfleet_shard_building")
    return any(float(line.split()[-1]) > 0 for line in lines if line.startswith(waiting))


def _ready(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
        return bool(answer.status == 200)
