"""Requests over HTTP at a steady pace, whatever becomes of them; a time counts from when one was due."""

import dataclasses
import http.client
import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

import numpy as np
from peers import rest

OK, PARTIAL, UNSENT = "ok", "partial", "unsent"
_PATIENCE = 15.0  # seconds for an answer; a gateway gives one earlier


@dataclasses.dataclass(frozen=True)
class Answer:
    """What became of a request.

    Attributes:
        due: when it was due, by `time.perf_counter`.
        seconds: from then until its answer; infinite for one that was not sent.
        outcome: `ok`, `partial`, `unsent` where no caller was free in time, an HTTP status, or why
            there was no answer.
    """

    due: float
    seconds: float
    outcome: str


class Load:
    """Threads, each with a connection, that send requests as they are due, while the block lasts.

    Attributes:
        begin: when the first one is due, by `time.perf_counter`.

    Args:
        api: how the server is spoken to.
        path: of the requests, POST.
        body: returns the body of the request of a number.
        rate: requests a second.
        headers: of each, beside the usual ones.
        callers: connections, and so requests that may be under way.
    """

    def __init__(  # what a load consists of
        self,
        api: rest.Api,
        path: str,
        body: Callable[[int], bytes],
        *,
        rate: float,
        headers: Mapping[str, str],
        callers: int,
    ) -> None:
        self._host, self._path, self._body = api.url.removeprefix("http://"), path, body
        self._headers, self._rate = {**api.usual, **headers}, rate
        self._numbers, self._turn = itertools.count(), threading.Lock()
        self._stopping, self.begin = threading.Event(), 0.0
        self._answers: dict[int, Answer] = {}
        self._threads = [threading.Thread(target=self._run) for _ in range(callers)]

    def __enter__(self) -> Self:
        self.begin = time.perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def between(self, begin: float, end: float) -> list[Answer]:
        """Return what became of each that was due then, once the block has ended; by when it was due."""
        first, last = (max(0, math.ceil((at - self.begin) * self._rate)) for at in (begin, end))
        return [self._answers.get(number) or self._unsent(number) for number in range(first, last)]

    def _unsent(self, number: int) -> Answer:
        return Answer(self.begin + number / self._rate, math.inf, UNSENT)

    def _run(self) -> None:
        connection = self._connect()
        while not self._stopping.is_set():
            with self._turn:
                number = next(self._numbers)
            due = self.begin + number / self._rate
            if self._stopping.wait(max(0.0, due - time.perf_counter())):
                break
            try:
                outcome = self._ask(connection, self._body(number))
            except (OSError, http.client.HTTPException) as failed:
                outcome = type(failed).__name__
                connection.close()
                connection = self._connect()
            self._answers[number] = Answer(due, time.perf_counter() - due, outcome)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, timeout=_PATIENCE)

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> str:
        connection.request("POST", self._path, body, self._headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            return str(answer.status)
        return PARTIAL if json.loads(content).get("partial") else OK


def percentiles(answers: Sequence[Answer]) -> Iterator[float]:
    """Return p50, p99 and the most of the milliseconds of what was sent; nothing where that is nothing."""
    if took := [one.seconds * 1000 for one in answers if one.outcome != UNSENT]:
        yield from (float(one) for one in np.percentile(took, [50, 99, 100]))


def failed(answers: Sequence[Answer]) -> str:
    """Return how many failed, and of what."""
    outcomes = [one.outcome for one in answers if one.outcome not in {OK, PARTIAL}]
    kinds = ", ".join(f"{outcomes.count(kind)} x {kind}" for kind in sorted(set(outcomes)))
    return kinds or "0"


def partial(answers: Sequence[Answer]) -> int:
    """Return how many were answered without some shard."""
    return sum(one.outcome == PARTIAL for one in answers)
