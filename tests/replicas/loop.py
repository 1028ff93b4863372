"""An event loop whose time jumps to the next thing that is due: minutes of waiting pass in no time."""

import asyncio
import heapq


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while anything runs, and jumps when nothing does."""

    def __init__(self):
        super().__init__()
        self._moment = 0.0

    def time(self):
        return self._moment

    def _run_once(self):
        while self._scheduled and self._scheduled[0]._cancelled:
            heapq.heappop(self._scheduled)._scheduled = False
        if not self._ready:
            assert self._scheduled, "everything waits for something that nobody will do"
            self._moment = max(self._moment, self._scheduled[0]._when)
        super()._run_once()


def run(coroutine):
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
