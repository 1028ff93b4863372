"""All workers of the primary: started, given connections in turn, started again when they end, and let go."""

import asyncio
import contextlib
import dataclasses
import logging
import socket
from collections.abc import Callable, Iterable

from vectorfleet_gateway import server

from . import control, hired, orders, tally

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
MOST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""Who has run for as long is started again at once, or nearly; who ends again and again, ever later."""
LEAVE_SECONDS = server.FAREWELL_SECONDS + server.DRAIN_SECONDS + 4.0
GiveBack = Callable[[Iterable[socket.socket]], None]


@dataclasses.dataclass(frozen=True)
class Present:
    """A worker that takes connections: its number, from 1 on, its process, and where it shows its metrics."""

    number: int
    pid: int
    metrics_port: int


class Crew:
    """The workers. Made inside of the running event loop.

    Args:
        told: what each is told.
        count: how many there are to be.
        give_back: takes connections that a worker was given and has not taken.
    """

    def __init__(self, told: orders.Orders, count: int, give_back: GiveBack) -> None:
        self._told = told
        self._give_back = give_back
        self._ready: dict[int, hired.Worker] = {}
        self._others: set[hired.Worker] = set()
        self._turn = 0
        self._leaving = asyncio.Event()
        self._tasks = [asyncio.create_task(self._keep(number)) for number in range(1, count + 1)]

    def present(self) -> list[Present]:
        """Those that take connections. May be asked by any thread."""
        ready = sorted(self._ready.copy().items())
        return [Present(number, worker.pid, worker.metrics_port) for number, worker in ready]

    def hand_on(self, connection: socket.socket) -> bool:
        """Give a connection to whose turn it is; return False where the primary is to answer it."""
        takers = [0, *self._ready]
        self._turn = (self._turn + 1) % len(takers)
        number = takers[self._turn]
        taken = number > 0 and self._ready[number].hand_over(connection)
        tally.CONNECTIONS.labels(str(number if taken else 0)).inc()
        return taken

    async def leave(self) -> None:
        """Let all answer what they have, and wait until they are gone."""
        self._leaving.set()
        for worker in self._others:  # has no connections
            worker.kill()
        for number in list(self._ready):
            self._let_go(number)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LEAVE_SECONDS)

    async def close(self) -> None:
        """End those who are still there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, number: int) -> None:
        """See that there is a worker of this number, until all leave."""
        loop, pause = asyncio.get_running_loop(), PAUSE_SECONDS
        while not self._leaving.is_set():
            began = loop.time()
            try:
                ended = f"status {await self._run(number)}"
            except OSError as error:
                ended = repr(error)
            if self._leaving.is_set():
                return
            pause = PAUSE_SECONDS if loop.time() - began > STEADY_SECONDS else pause
            more = {"worker": number, "ended": ended, "pause_seconds": pause}
            _log.warning("a worker ended; starting another one", extra=more)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), pause)
            pause = min(2 * pause, MOST_PAUSE_SECONDS)

    async def _run(self, number: int) -> int:
        """Run one worker until it is gone; return its status."""
        worker = hired.Worker(self._told)
        tally.STARTS.inc()
        self._others.add(worker)
        try:
            async for said in worker.heard():
                if isinstance(said, control.Ready) and not self._leaving.is_set():
                    self._welcome(number, worker, said)
                elif isinstance(said, control.Leaving):
                    self._let_go(number)
            self._forget(number)
            return await worker.gone()
        finally:
            self._others.discard(worker)
            self._forget(number)
            self._give_back(worker.close())

    def _welcome(self, number: int, worker: hired.Worker, said: control.Ready) -> None:
        worker.metrics_port = said.metrics_port
        self._others.discard(worker)
        self._ready[number] = worker
        tally.WORKERS.set(len(self._ready))
        _log.info("a worker serves", extra={"worker": number, "pid": worker.pid})

    def _let_go(self, number: int) -> None:
        """Give a worker no more connections, and let it end."""
        if (worker := self._forget(number)) is not None:
            worker.drain()

    def _forget(self, number: int) -> hired.Worker | None:
        worker = self._ready.pop(number, None)
        tally.WORKERS.set(len(self._ready))
        return worker
