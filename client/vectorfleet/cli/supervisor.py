"""The supervisor of a state directory from a user's side: started where none is, asked, and stopped."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from vectorfleet_operator import errors
from vectorfleet_operator.adapters.local import folder, inbox, lock, processes

from . import session

POLL_SECONDS = 0.1
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0


class Supervisor:
    """The supervisor of one state directory, be there one or not."""

    def __init__(self, place: folder.Folder) -> None:
        self._place = place

    @property
    def is_there(self) -> bool:
        """Whether it runs, or is just being started."""
        return lock.is_held(self._place)

    @property
    def pid(self) -> int | None:
        """Its pid, None where it does not run."""
        return lock.holder(self._place)

    def request(self, requests: Sequence[inbox.Request]) -> None:
        """Leave requests and wait until they, and those left before, were carried out."""
        for request in requests:
            inbox.leave(self._place, request)
        self.wait(self._is_carried_out, _START_SECONDS, "the supervisor does not answer")

    def ensure(self) -> None:
        """Start one where none runs."""
        if self.is_there:
            return
        self._place.create()
        why = "the supervisor did not start"
        try:
            started = self._start()
        except errors.Rejected:  # somebody else was faster
            return
        self.wait(lambda: self.pid is not None or started.poll() is not None, _START_SECONDS, why)
        if started.poll() is not None:
            said = self._place.supervisor_log.read_text(errors="replace").splitlines()[-1:]
            session.fail(f"{why}: {''.join(said)}; see {self._place.supervisor_log}")

    def stop(self) -> None:
        """Stop it and wait until it is gone; one that is just starting is waited for."""
        self.wait(
            lambda: self.pid is not None or not self.is_there, _START_SECONDS, "the supervisor does not start"
        )
        pid = self.pid
        if pid is None:
            return
        running = processes.Running(pid, processes.start_of(pid) or 0)
        running.end(at_once=False)
        # It gives the lock back some moments before it is gone.
        gone = lambda: not running.is_alive() and not self.is_there  # noqa: E731
        self.wait(gone, _STOP_SECONDS, "the supervisor does not stop")

    def wait(self, reached: Callable[[], bool], timeout: float, why: str) -> None:
        """Return once something is reached; after `timeout` seconds, end the command with `why`."""
        end = time.monotonic() + timeout
        while not reached():
            if time.monotonic() > end:
                session.fail(f"{why} after {timeout:g} s; see {self._place.supervisor_log}")
            time.sleep(POLL_SECONDS)

    def _is_carried_out(self) -> bool:
        """Whether nothing is asked for any more; the supervisor that was there may have been ending."""
        if not inbox.is_empty(self._place):
            self.ensure()
        return inbox.is_empty(self._place)

    def _start(self) -> "subprocess.Popen[bytes]":
        """Start it with the lock in its hand, so that it holds that from its first moment on.

        Raises:
            errors.Rejected: somebody else holds the lock.
        """
        with lock.take(self._place) as taken, self._place.supervisor_log.open("ab") as log:
            command = [sys.executable, "-m", "vectorfleet_operator.local"]
            return subprocess.Popen(
                [*command, "--state-dir", str(self._place.root), "--lock", str(taken.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(taken.fileno(),),
                cwd="/",
            )
