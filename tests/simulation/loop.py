"""An event loop of asyncio whose time is simulated, for one process that may be stopped, or die."""

import asyncio
import inspect
from asyncio import events

SECOND = 15  # units of simulated time
_RESOLUTION = 1e-6  # units by which timers are late, so that the time that they wait for has surely come


class _Due:
    """What a loop is to call, unless it is cancelled before; lighter than `asyncio.Handle`.

    It knows no context: nothing that is simulated keeps anything in one.
    """

    __slots__ = ("args", "callback", "cancelled")

    def __init__(self, callback, args):
        self.callback, self.args = callback, args
        self.cancelled = False

    def cancel(self):
        """Let it not be called."""
        self.cancelled = True


class Loop(asyncio.AbstractEventLoop):
    """Runs the coroutines of one process; what is due while it is stopped waits until it goes on.

    Args:
        clock: of the simulation.
    """

    def __init__(self, clock):
        self._clock = clock
        self._dead = self._stopped = False
        self._kept = []
        self._alive = None

    # What asyncio asks of a loop.

    def time(self):
        return self._clock.now / SECOND

    def get_debug(self):
        return False

    def call_soon(self, callback, *args, context=None):
        due = _Due(callback, args)
        self._clock.soon.append((self._run, due))
        return due

    def call_at(self, when, callback, *args, context=None):
        due = _Due(callback, args)
        left = max(0.0, when * SECOND - self._clock.now)
        self._clock.after(left + _RESOLUTION, self._run, due)
        return due

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None):
        task = asyncio.Task(coro, loop=self, name=name or "one")
        task._log_destroy_pending = False
        return task

    def call_exception_handler(self, context):
        """Nothing: what a task raises is found by whoever waits for it."""

    def _run(self, due):
        if self._dead or due.cancelled:
            return
        if self._stopped:
            self._kept.append(due)
            return
        events._set_running_loop(self)
        try:
            due.callback(*due.args)
        finally:
            events._set_running_loop(None)

    # What a simulation does with a process.

    def live(self, coroutine):
        """Run what the process is there for; where it fails, so does the simulation."""

        def ended(task):
            if not task.cancelled() and task.exception() is not None:
                self._clock.failed = task.exception()

        self._alive = coroutine
        self.create_task(coroutine).add_done_callback(ended)

    def stop_for_a_while(self):
        """Stop the process, as SIGSTOP does."""
        self._stopped = True

    def go_on(self):
        """Let it go on: all that was due meanwhile is due now."""
        self._stopped = False
        kept, self._kept = self._kept, []
        self._clock.soon.extend((self._run, due) for due in kept)

    def kill(self):
        """End the process where it is: nothing of it runs any more."""
        if self._alive is not None and inspect.getcoroutinestate(self._alive) == inspect.CORO_CREATED:
            self._alive.close()  # it died before it began
        self._dead = True
