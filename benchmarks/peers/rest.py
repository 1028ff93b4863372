"""A contender that speaks HTTP and JSON: loaded by a few connections, asked by wrk."""

import concurrent.futures
import dataclasses
import http.client
import json
import pathlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import contender, workload, wrk

LOADERS = 4
"""Connections that write at a time."""


@dataclasses.dataclass(frozen=True)
class Api:
    """How it is spoken to.

    Attributes:
        url: of its server, without a slash at the end.
        headers: of every request.
        query: method is POST; the path that queries go to.
        body: makes a query of a vector, k and an effort.
        found: reads rows out of an answer.
    """

    url: str
    headers: Mapping[str, str]
    query: str
    body: Callable[[list[float], int, int], object]
    found: Callable[[Any], Iterable[int]]

    @property
    def usual(self) -> dict[str, str]:
        """The headers of every request."""
        return {"Content-Type": "application/json", **self.headers}


class Caller:
    """One keep-alive connection."""

    def __init__(self, api: Api) -> None:
        host = api.url.removeprefix("http://")
        self._connection, self._api = http.client.HTTPConnection(host, timeout=300), api

    def call(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Send a request; return what its JSON says.

        Raises:
            RuntimeError: it was not answered with 2xx.
        """
        self._connection.request(method, path, body, self._api.usual)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content) if content else None


def say(api: Api, method: str, path: str, told: object = None) -> Any:
    """Send one request by a connection of its own."""
    return Caller(api).call(method, path, None if told is None else json.dumps(told).encode())


def send_all(
    api: Api, method: str, path: str, bodies: Iterable[bytes], loaders: int = LOADERS
) -> list[float]:
    """Send bodies, each once, some at a time, drawn when they are sent; return the seconds that each took."""
    waiting, turn = iter(bodies), threading.Lock()
    took: list[float] = []

    def send() -> None:
        caller = Caller(api)
        while True:
            with turn:
                body = next(waiting, None)
            if body is None:
                return
            begin = time.perf_counter()
            caller.call(method, path, body)
            took.append(time.perf_counter() - begin)

    with concurrent.futures.ThreadPoolExecutor(loaders) as pool:
        for one in [pool.submit(send) for _ in range(loaders)]:
            one.result()
    return took


class Asked:
    """The queries of a workload, asked of a server.

    Args:
        api: how it is spoken to.
        work: what is asked.
        folder: where prepared bodies are kept.
    """

    def __init__(self, api: Api, work: workload.Workload, folder: pathlib.Path) -> None:
        self.api = api
        self._work = work
        self._folder = folder
        self._vectors = work.data.asked.tolist()

    def answers(self, effort: int) -> NDArray[np.int64]:
        """Ask every query once; return (queries, k) rows."""
        caller, rows = Caller(self.api), np.full((len(self._vectors), self._work.k), -1)
        for number, vector in enumerate(self._vectors):
            body = json.dumps(self.api.body(vector, self._work.k, effort)).encode()
            found = list(self.api.found(caller.call("POST", self.api.query, body)))[: self._work.k]
            rows[number, : len(found)] = found
        return rows

    def press(self, effort: int, pressure: contender.Pressure) -> contender.Load:
        """Let wrk ask."""
        bodies = self.prepared(effort)
        return wrk.run(wrk.command(self.api.url + self.api.query, bodies, self.api.usual, pressure))

    def prepared(self, effort: int) -> pathlib.Path:
        """Return the file of all queries at an effort, one body a line."""
        path = self._folder / f"queries-{effort}.jsonl"
        if not path.exists():
            made = (json.dumps(self.api.body(vector, self._work.k, effort)) for vector in self._vectors)
            path.write_text("\n".join(made) + "\n")
        return path
