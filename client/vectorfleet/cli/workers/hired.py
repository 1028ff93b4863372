"""One worker as the primary sees it: a process, what it says, and the connections that it is given."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Collection

from vectorfleet_gateway.serving import arrivals

from . import control, orders

_END_SECONDS = 5.0
"""How long one who says nothing any more may take to be gone."""
_LOOK_SECONDS = 0.02
_HELD = {signal.SIGINT, signal.SIGTERM}


class Worker:
    """A worker's process, from its start on.

    Raises:
        OSError: it can't be started.

    Attributes:
        metrics_port: see `control.Ready`.
    """

    def __init__(self, told: orders.Orders) -> None:
        self.metrics_port = 0
        ours, theirs = control.pair()
        # The receiving end stays open here too: whoever waits in it outlives the worker.
        self._accepting, self._receiving = arrivals.channel()
        with theirs:
            try:
                orders.send(told, ours)
                self._process = _start((theirs.fileno(), self._receiving.fileno()))
            except OSError:
                ours.close()
                self._close_channel()
                raise
        self._control = control.Control(ours)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def hand_over(self, connection: socket.socket) -> bool:
        """Give it a connection; return whether it has it."""
        return arrivals.hand_over(self._accepting, connection)

    def heard(self) -> AsyncIterator[control.Message]:
        """Give what it says until it is gone, or as good as gone."""
        return self._control.heard()

    def drain(self) -> None:
        """Let it answer what it has, and end."""
        self._control.say(control.Drain())

    def kill(self) -> None:
        """End it at once; it writes nothing, so nothing is lost but answers."""
        self._process.kill()

    async def gone(self) -> int:
        """Wait until the process is no more, and return its status."""
        end = asyncio.get_running_loop().time() + _END_SECONDS
        while (status := self._process.poll()) is None:
            if asyncio.get_running_loop().time() > end:
                self.kill()
            await asyncio.sleep(_LOOK_SECONDS)
        return status

    def close(self) -> list[socket.socket]:
        """See that the process is no more; return the connections that it had not taken yet."""
        if self._process.poll() is None:
            self.kill()
            self._process.wait()
        left = arrivals.received(self._receiving)
        self._control.close()
        self._close_channel()
        return left

    def _close_channel(self) -> None:
        self._accepting.close()
        self._receiving.close()


def _start(files: Collection[int]) -> "subprocess.Popen[bytes]":
    """Start a worker that holds some files.

    What a terminal or a service manager signals to all processes at once is the primary's to obey: from a
    worker it is held back from its first moment on, until that one knows what to do about it.
    """
    # -P: nothing is imported from the folder that the command was called in.
    command = [sys.executable, "-P", "-m", __package__ or "", *map(str, files)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=tuple(files))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
