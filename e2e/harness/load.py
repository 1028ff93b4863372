"""A load of writers and readers that record what they did, to be run around an event.

Writers use the SDK as it comes, retries included. Readers never retry, so that nothing is hidden. Every
acknowledged write is known, and is compared bit by bit at the end.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import numpy as np
from numpy.typing import NDArray

import vectorfleet

from . import history, index

WRITERS, READERS = 4, 3
DIMENSIONS = 16
PAUSE_SECONDS = 0.02  # the machine's two cores are for the cluster, too
_BATCH = 100


Recorder = Callable[[str], contextlib.AbstractContextManager["Load"]]
"""Runs a load around an event of that name, and holds its clients to what they were promised."""


class Load:
    """Clients of an index, in a namespace of their own.

    Each write has a new row and one that its writer writes over and over.
    """

    def __init__(self, of: index.Index, name: str) -> None:
        self.history = history.History()
        self._of, self._name = of, name
        self._host, self._key = of.host, of.key
        self._expected: dict[str, NDArray[np.float32]] = {}
        self.happened = time.monotonic()
        self._ends = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Clients are at work within, each of them before it begins, and finish their last call after it."""
        threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        threads += [threading.Thread(target=self._read, args=(n,)) for n in range(READERS)]
        for thread in threads:
            thread.start()
        try:
            index.wait_until(lambda: self.history.read_since(0) > READERS)
            yield
        finally:
            self._ends.set()
            for thread in threads:
                thread.join()

    def event(self) -> None:
        """Note that what the story is about happens now."""
        self.happened = time.monotonic()

    def expect_writes(self, seconds: float) -> None:
        """Return once every writer's writes are acknowledged again."""
        now = time.monotonic()
        index.wait_until(lambda: self.history.acknowledged_since(now) > 2 * WRITERS, seconds)

    def expect_everything(self) -> None:
        """Each acknowledged row is there as it was written last, bit for bit, for whoever asks strongly."""
        with vectorfleet.Client(self._host, self._key, consistency="strong") as client:
            wanted = iter(self._expected)
            while ids := list(itertools.islice(wanted, _BATCH)):
                found = client.fetch(ids, namespace=self._name).vectors
                for id_ in ids:
                    assert id_ in found, f"the acknowledged row {id_} is lost"
                    assert np.array_equal(found[id_].values, self._expected[id_]), f"{id_} has changed"

    def _write(self, number: int) -> None:
        transport = _Counting(self.history)
        with vectorfleet.Client(self._host, self._key, transport=transport, consistency="session") as client:
            for count in itertools.count():
                if self._ends.wait(PAUSE_SECONDS):
                    return
                one = _vector(number, count)
                ids = (f"{number}-{count}", f"{number}-again")
                error = self._do(self.history.writes, functools.partial(self._upsert, client, ids, one))
                if error:  # whether it was done is not known: nothing is expected of these rows any more
                    for id_ in ids:
                        self._expected.pop(id_, None)
                elif count % 5 == 0:
                    self._do(self.history.reads, functools.partial(self._see, client, ids[1], one))

    def _upsert(self, client: vectorfleet.Client, ids: tuple[str, ...], one: NDArray[np.float32]) -> None:
        client.upsert([(id_, one) for id_ in ids], namespace=self._name)
        self._expected |= dict.fromkeys(ids, one)

    def _see(self, client: vectorfleet.Client, id_: str, one: NDArray[np.float32]) -> None:
        """A client that demands its own writes sees them."""
        found = client.fetch([id_], namespace=self._name).vectors
        assert np.array_equal(found[id_].values, one), f"a session does not see its own write of {id_}"

    def _read(self, number: int) -> None:
        with vectorfleet.Client(self._host, self._key, retries=0, timeout=10.0) as client:
            for count in itertools.count():
                if self._ends.wait(PAUSE_SECONDS):
                    return
                asked = _vector(number, count)
                self._do(self.history.reads, functools.partial(self._ask, client, asked))

    def _ask(self, client: vectorfleet.Client, asked: NDArray[np.float32]) -> None:
        client.query(asked, top_k=3, namespace=self._name)

    def _do(self, into: list[history.Done], call: Callable[[], object]) -> str:
        began, error = time.monotonic(), ""
        try:
            call()
        except (vectorfleet.VectorfleetError, AssertionError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        into.append(history.Done(began, time.monotonic(), error))
        return error


class _Counting(httpx.HTTPTransport):
    """Counts the attempts that fail; the SDK repeats them."""

    def __init__(self, into: history.History) -> None:
        super().__init__(limits=httpx.Limits(keepalive_expiry=4.0))
        self._into = into

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = super().handle_request(request)
        except httpx.HTTPError:
            self._count()
            raise
        if response.status_code >= 429:
            self._count()
        return response

    def _count(self) -> None:
        with self._into.lock:
            self._into.retried += 1


def _vector(number: int, count: int) -> NDArray[np.float32]:
    return np.random.default_rng((number, count)).random(DIMENSIONS, dtype=np.float32)
