"""Chroma's server over REST."""

import contextlib
import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from . import contender, installed, processes, rest, serving, workload

_BASE = "/api/v2/tenants/default_tenant/databases/default_database/collections"


class Chroma:
    """`chroma run`, one process."""

    name = "Chroma"
    served = True
    origin = f"`{installed.pip('chroma')}`"
    command = "`chroma run --path … --host 127.0.0.1 --port …`"
    settings = (
        f"hnsw max_neighbors {contender.M}, ef_construction {contender.EF_CONSTRUCTION}, space ip over unit "
        "vectors; upserts of 500 rows; the rest as it comes"
    )
    durable = "in SQLite (WAL)"
    driver = "wrk"
    efforts = contender.EFFORTS

    def version(self) -> str:
        """Return the package's version."""
        return installed.version_of("chroma", "chromadb")

    @contextlib.contextmanager
    def start(self, folder: pathlib.Path, work: workload.Workload) -> Iterator[serving.Served]:
        """Run it."""
        with contextlib.closing(_Server(folder)) as server:
            path = f"{_BASE}/{rest.say(server.api, 'POST', _BASE, _collection())['id']}"
            api = rest.Api(server.api.url, {}, f"{path}/query", _body, _found)
            yield serving.Served(
                server.roots,
                rest.Asked(api, work, folder),
                write=("POST", f"{path}/upsert"),
                batch=_batch,
                size=500,
                settled=lambda: _settle(api, work),
                prepare=lambda effort: server.set(path, effort) and _settle(api, work),
            )


class _Server:
    """The process. Its ef_search is read when a collection is opened, so another one takes a restart."""

    def __init__(self, folder: pathlib.Path) -> None:
        port = processes.free_port()
        program = str(installed.environment("chroma") / "bin" / "chroma")
        self._command = [program, "run", "--path", str(folder / "data"), "--host", "127.0.0.1"]
        self._command += ["--port", str(port)]
        self._folder, self._effort, self._running = folder, 0, contextlib.ExitStack()
        self.roots: list[int] = []
        self.api = rest.Api(f"http://127.0.0.1:{port}", {}, "", _body, _found)
        self._start()

    def _start(self) -> None:
        log, env = self._folder / "chroma.log", {"ANONYMIZED_TELEMETRY": "False"}
        process = self._running.enter_context(processes.started(self._command, log, env, cwd=self._folder))
        self.roots[:] = [process.pid]
        processes.wait_until(lambda: bool(rest.say(self.api, "GET", "/api/v2/heartbeat")), process, log)

    def set(self, path: str, effort: int) -> bool:
        """Make an ef_search that of the collection; return whether it was another one."""
        if effort == self._effort:
            return False
        rest.say(self.api, "PUT", path, {"new_configuration": {"hnsw": {"ef_search": effort}}})
        self.close()
        self._start()
        self._effort = effort
        return True

    def close(self) -> None:
        """End it."""
        self._running.close()


def _collection() -> dict[str, Any]:
    hnsw = {"space": "ip", "max_neighbors": contender.M, "ef_construction": contender.EF_CONSTRUCTION}
    return {"name": "bench", "configuration": {"hnsw": hnsw}}


def _settle(api: rest.Api, work: workload.Workload) -> float:
    """Ask once: rows that wait in the log enter the graph before a query is answered."""
    rest.say(api, "POST", api.query, _body(work.data.asked[0].tolist(), work.k, 0))
    return time.perf_counter()


def _batch(work: workload.Workload, piece: range) -> bytes:
    told = {
        "ids": [str(number) for number in piece],
        "embeddings": work.data.stored[piece.start : piece.stop].tolist(),
        "metadatas": [work.metadata(number) for number in piece],
    }
    return json.dumps(told).encode()


def _body(vector: list[float], k: int, effort: int) -> object:  # noqa: ARG001  # ef_search is the collection's
    return {"query_embeddings": [vector], "n_results": k, "include": []}


def _found(answer: Any) -> list[int]:
    return [int(one) for one in answer["ids"][0]]
