"""Simulated time: what is to happen, in order, and tasks that wait for it."""

import collections
import heapq
import itertools


class Clock:
    """A queue of what is to happen; nothing takes time but waiting.

    `soon` holds what processes do at once, as (function, argument); `failed` is what ended one of them.
    """

    def __init__(self):
        self.now = 0.0
        self.soon = collections.deque()
        self.failed = None
        self._queue = []
        self._number = itertools.count()

    def after(self, delay, act, *args):
        """Call `act` when `delay` has passed."""
        heapq.heappush(self._queue, (self.now + delay, next(self._number), act, args))

    def run(self, until):
        """Let everything happen up to a moment."""
        queue, soon, pop = self._queue, self.soon, heapq.heappop
        self._work(soon)
        while queue and queue[0][0] <= until:
            self.now, _, act, args = pop(queue)
            act(*args)
            if soon:
                self._work(soon)
        self.now = until

    def _work(self, soon):
        while soon:
            act, given = soon.popleft()
            act(given)
        if self.failed is not None:
            raise self.failed


class Task:
    """A generator; it yields what it waits for: a function that calls, with the result, what it is given."""

    def __init__(self, steps):
        self._steps = steps
        self._waits = 0
        self._go_on(0, None)

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
