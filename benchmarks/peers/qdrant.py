"""Qdrant over REST."""

import contextlib
import json
import pathlib
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from . import contender, installed, processes, rest, serving, workload

_PATH = "/collections/bench"
_VARIABLE = "VECTORFLEET_BENCH_QDRANT"


class Qdrant:
    """One node, as its configuration comes."""

    name = "Qdrant"
    served = True
    origin = f"its source at {installed.QDRANT_VERSION}, [built by hand](#building-qdrant)"
    command = "`qdrant`, with `QDRANT__SERVICE__*` ports, `QDRANT__STORAGE__*` folders, no telemetry"
    settings = (
        f"hnsw m {contender.M}, ef_construct {contender.EF_CONSTRUCTION}; upserts of 500 rows, wait=true; "
        "the rest as it comes"
    )
    durable = "applied; in the log without fsync"
    driver = "wrk"
    efforts = contender.EFFORTS

    def version(self) -> str:
        """Return what the program says."""
        command = [str(installed.binary("qdrant", _VARIABLE)), "--version"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]

    @contextlib.contextmanager
    def start(self, folder: pathlib.Path, work: workload.Workload) -> Iterator[serving.Served]:
        """Run it."""
        port, log = processes.free_port(), folder / "qdrant.log"
        env = {
            "QDRANT__SERVICE__HOST": "127.0.0.1",
            "QDRANT__SERVICE__HTTP_PORT": str(port),
            "QDRANT__SERVICE__GRPC_PORT": str(processes.free_port()),
            "QDRANT__STORAGE__STORAGE_PATH": str(folder / "storage"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
            "QDRANT__TELEMETRY_DISABLED": "true",
        }
        command = [str(installed.binary("qdrant", _VARIABLE))]
        with processes.started(command, log, env, cwd=folder) as process:
            api = rest.Api(f"http://127.0.0.1:{port}", {}, f"{_PATH}/points/query", _body, _found)
            processes.wait_until(lambda: bool(rest.say(api, "GET", "/collections")), process, log)
            rest.say(api, "PUT", _PATH, _collection(work.dimensions))
            yield serving.Served(
                [process.pid],
                rest.Asked(api, work, folder),
                write=("PUT", f"{_PATH}/points?wait=true"),
                batch=_batch,
                size=500,
                settled=lambda: processes.settled(lambda: _is_indexed(api, work.count)),
            )


def _collection(dimensions: int) -> object:
    hnsw = {"m": contender.M, "ef_construct": contender.EF_CONSTRUCTION}
    return {"vectors": {"size": dimensions, "distance": "Cosine"}, "hnsw_config": hnsw}


def _is_indexed(api: rest.Api, count: int) -> bool:
    state = rest.say(api, "GET", _PATH)["result"]
    # A small last segment may stay without a graph for good, and is scanned.
    return bool(state["status"] == "green" and state["indexed_vectors_count"] > 0.8 * count)


def _batch(work: workload.Workload, piece: range) -> bytes:
    vectors = work.data.stored[piece.start : piece.stop].tolist()
    points = [
        {"id": number, "vector": vector, "payload": work.metadata(number)}
        for number, vector in zip(piece, vectors, strict=True)
    ]
    return json.dumps({"points": points}).encode()


def _body(vector: list[float], k: int, effort: int) -> object:
    return {"query": vector, "limit": k, "params": {"hnsw_ef": effort}}


def _found(answer: Any) -> list[int]:
    return [int(point["id"]) for point in answer["result"]["points"]]


def index_fields(api: rest.Api, fields: Mapping[str, type]) -> None:
    """Make indexes of payload fields, which Qdrant wants before the rows: their graph takes heed of them."""
    for name, kind in fields.items():
        schema = "integer" if kind is int else "keyword"
        rest.say(api, "PUT", f"{_PATH}/index?wait=true", {"field_name": name, "field_schema": schema})


def condition(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter of ranges, any-of and ANDs in Qdrant's form. Pure."""
    if "$and" in tree:
        return {"must": [condition(one) for one in tree["$and"]]}
    [(name, asked)] = tree.items()
    [(operator, value)] = asked.items()
    match operator:
        case "$lt":
            return {"must": [{"key": name, "range": {"lt": value}}]}
        case "$in":
            return {"must": [{"key": name, "match": {"any": value}}]}
        case _:
            raise ValueError(f"no form of {operator} for Qdrant: $lt, $in and $and have one")
