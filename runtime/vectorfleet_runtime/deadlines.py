"""Ends what takes longer than it may: one timer of the event loop for all that is under way.

`asyncio.timeout` sets a timer for each and takes it away again, which nearly all of them never need. Here a
timer is set where none would ring in time; when it rings, whoever is late is cancelled, and it is set again.
"""

import asyncio
import math
from types import TracebackType

_RESOLUTION = 0.001
"""Seconds: the event loop's timers know milliseconds, and may ring that much too early."""


class Deadlines:
    """Those of some tasks of one event loop."""

    def __init__(self) -> None:
        self._under_way: set[until] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rings = math.inf

    def add(self, one: "until") -> None:
        """Watch over one, see `until`."""
        self._under_way.add(one)
        if one.when < self._rings:
            self._set(one.when)

    def remove(self, one: "until") -> None:
        """Watch over it no longer."""
        self._under_way.discard(one)

    def _set(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = when
        self._timer = asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer, self._rings = None, math.inf
        soon = asyncio.get_running_loop().time() + _RESOLUTION
        for late in [one for one in self._under_way if one.when <= soon]:
            self._under_way.remove(late)
            late.expire()
        if self._under_way:
            self._set(min([one.when for one in self._under_way]))


class until:  # noqa: N801  # read as a function
    """Cancel the task at a time of its event loop, where it is still within; a `TimeoutError` then.

    It tells that from being cancelled by others as `asyncio.timeout_at` does.

    Args:
        deadlines: that watch over it.
        when: by the event loop's clock, in seconds.
    """

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_task", "when")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self._deadlines = deadlines
        self._expired = False
        self.when = when

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline is of a task; there is none")
        self._task, self._cancelling = task, task.cancelling()
        self._deadlines.add(self)

    def expire(self) -> None:
        """Cancel the task."""
        self._expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not self._expired:
            self._deadlines.remove(self)
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


def within(deadlines: Deadlines, seconds: float) -> until:
    """Cancel the task after some seconds, from now on; see `until`."""
    return until(deadlines, asyncio.get_running_loop().time() + seconds)
