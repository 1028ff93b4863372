"""Where a read runs: in a thread, or on the event loop where that costs less than the way to a thread.

FAISS lets go of the interpreter, so searches in threads run beside each other, and the loop stays free. But a
thread costs two wake-ups, about as much as a short search takes, and where all cores are busy its tail is the
way's and not the search's. A read that is known to be short runs on the loop where no other is under way:
there is nobody whom it could hold up for longer than that.
"""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable
from typing import TypeVar

import faiss

from .. import errors

SHORT = 5e-3
"""Seconds: what short reads take lately must be below this for the next to run on the loop.

As long as another thread may hold the interpreter, so that the loop has to bear it anyway.
"""

_WEIGHT = 1 / 16  # of the newest read in what they take lately
_T = TypeVar("_T")


class Readers:
    """The threads of a shard's reads. Made on the event loop that it is used on.

    Args:
        threads: how many reads run at a time.
        clock: tells seconds.
    """

    def __init__(self, threads: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._pool = concurrent.futures.ThreadPoolExecutor(
            threads, "read", initializer=faiss.omp_set_num_threads, initargs=(1,)
        )
        faiss.omp_set_num_threads(1)  # of the loop's own thread
        self._closing = False
        self._under_way = 0
        self._lately = 0.0  # seconds that short reads took, the newest counting most

    async def run(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Return what a function returns, called in a thread.

        Raises:
            UnavailableError: the shard is stopping.
        """
        self._check_open()
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        finally:
            self._under_way -= 1

    async def run_short(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Return what a function returns that usually takes less than `SHORT`.

        Raises:
            UnavailableError: the shard is stopping.
        """
        self._check_open()
        if self._under_way or self._lately > SHORT:
            return await self.run(self._timed, function, *arguments)
        self._under_way += 1
        try:
            await asyncio.sleep(0)  # who has come at the same time shows up now
            if self._under_way == 1:
                return self._timed(function, *arguments)
        finally:
            self._under_way -= 1
        return await self.run(self._timed, function, *arguments)

    def _timed(self, function: Callable[..., _T], *arguments: object) -> _T:
        began = self._clock()
        try:
            return function(*arguments)
        finally:
            self._lately += (self._clock() - began - self._lately) * _WEIGHT

    def _check_open(self) -> None:
        if self._closing:
            raise errors.UnavailableError("the shard is stopping")

    def refuse(self) -> None:
        """Take no more reads."""
        self._closing = True

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown()
