"""Weaviate: its Go server, asked by GraphQL over HTTP."""

import contextlib
import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from . import contender, installed, processes, rest, serving, workload

_CLASS = "Package"
_SCHEMA = f"/v1/schema/{_CLASS}"
_VARIABLE = "VECTORFLEET_BENCH_WEAVIATE"


class Weaviate:
    """One node."""

    name = "Weaviate"
    served = True
    origin = f"`go install {installed.WEAVIATE}@{installed.WEAVIATE_VERSION}`"
    command = "`weaviate-server --host 127.0.0.1 --port … --scheme http`"
    settings = (
        f"maxConnections {contender.M}, efConstruction {contender.EF_CONSTRUCTION}, distance dot over unit "
        "vectors; batches of 500 objects, indexed before the answer; the rest as it comes"
    )
    durable = "indexed; in the log without fsync"
    driver = "wrk"
    efforts = contender.EFFORTS

    def version(self) -> str:
        """Return the version of the module that it is built from."""
        installed.binary("weaviate-server", _VARIABLE)
        return installed.WEAVIATE_VERSION

    @contextlib.contextmanager
    def start(self, folder: pathlib.Path, work: workload.Workload) -> Iterator[serving.Served]:
        """Run it."""
        port, log = processes.free_port(), folder / "weaviate.log"
        program = str(installed.binary("weaviate-server", _VARIABLE))
        command = [program, "--host", "127.0.0.1", "--port", str(port), "--scheme", "http"]
        with processes.started(command, log, _environment(folder), cwd=folder) as process:
            api = rest.Api(f"http://127.0.0.1:{port}", {}, "/v1/graphql", _body, _found)
            processes.wait_until(lambda: rest.say(api, "GET", "/v1/meta") is not None, process, log)
            rest.say(api, "POST", "/v1/schema", _schema())
            yield serving.Served(
                [process.pid],
                rest.Asked(api, work, folder),
                write=("POST", "/v1/batch/objects"),
                batch=_batch,
                size=500,
                settled=time.perf_counter,
                prepare=lambda effort: _set(api, effort),
            )


def _environment(folder: pathlib.Path) -> dict[str, str]:
    ports = (
        "GRPC_PORT",
        "CLUSTER_GOSSIP_BIND_PORT",
        "CLUSTER_DATA_BIND_PORT",
        "RAFT_PORT",
        "RAFT_INTERNAL_RPC_PORT",
    )
    own = {name: str(processes.free_port()) for name in ports}
    return own | {
        "PERSISTENCE_DATA_PATH": str(folder / "data"),
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
        "DEFAULT_VECTORIZER_MODULE": "none",
        "CLUSTER_HOSTNAME": "node1",
        "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
        "RAFT_BOOTSTRAP_EXPECT": "1",
        "DISABLE_TELEMETRY": "true",
        "LOG_LEVEL": "warning",
    }


def _schema() -> dict[str, Any]:
    return {
        "class": _CLASS,
        "vectorizer": "none",
        "vectorIndexConfig": {
            "distance": "dot",
            "maxConnections": contender.M,
            "efConstruction": contender.EF_CONSTRUCTION,
        },
        "properties": [{"name": "part", "dataType": ["int"]}, {"name": "kind", "dataType": ["text"]}],
    }


def _set(api: rest.Api, effort: int) -> None:
    """Set ef, which is the class's."""
    told = rest.say(api, "GET", _SCHEMA)
    if told["vectorIndexConfig"]["ef"] != effort:
        told["vectorIndexConfig"]["ef"] = effort
        rest.say(api, "PUT", _SCHEMA, told)
        time.sleep(0.2)


def _batch(work: workload.Workload, piece: range) -> bytes:
    vectors = work.data.stored[piece.start : piece.stop].tolist()
    objects = [
        {
            "class": _CLASS,
            "id": f"00000000-0000-0000-0000-{number:012d}",
            "vector": vector,
            "properties": work.metadata(number),
        }
        for number, vector in zip(piece, vectors, strict=True)
    ]
    return json.dumps({"objects": objects}).encode()


def _body(vector: list[float], k: int, effort: int) -> object:  # noqa: ARG001  # ef is the class's
    near = f"nearVector: {{vector: {json.dumps(vector)}}}"
    return {"query": f"{{Get {{{_CLASS}(limit: {k}, {near}) {{_additional {{id}}}}}}}}"}


def _found(answer: Any) -> list[int]:
    found = answer["data"]["Get"][_CLASS]
    return [int(one["_additional"]["id"].rpartition("-")[2]) for one in found]
