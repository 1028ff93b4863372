"""Simulated time: what is to happen, in order, and tasks that wait for it."""

import heapq
import itertools


class Clock:
    """A queue of what is to happen; nothing takes time but waiting."""

    def __init__(self):
        self.now = 0.0
        self._queue = []
        self._number = itertools.count()

    def after(self, delay, act, *args):
        """Call `act` when `delay` has passed."""
        heapq.heappush(self._queue, (self.now + delay, next(self._number), act, args))

    def run(self, until):
        """Let everything happen up to a moment."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, act, args = heapq.heappop(queue)
            act(*args)
        self.now = until


class Task:
    """A generator; it yields what it waits for: a function that calls, with the result, what it is given."""

    def __init__(self, steps):
        self._steps = steps
        self._waits = 0
        self._go_on(0, None)

    @property
    def over(self):
        """Whether it has ended."""
        return self._steps is None

    def _go_on(self, number, value):
        if self._steps is None or number != self._waits:
            return  # killed, or called twice
        self._waits += 1
        number = self._waits
        try:
            wait = self._steps.send(value)
        except StopIteration:
            self._steps = None
            return
        wait(lambda result=None: self._go_on(number, result))

    def kill(self):
        """End it where it is."""
        if self._steps is not None:
            self._steps.close()
            self._steps = None
