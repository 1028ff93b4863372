"""What happens to replicas while memory is watched: one is killed and loses its disk, the others live on.

A process that is killed gives all of its memory back, so those whose memory is watched are only stopped, for
as long as it takes to promote another one.
"""

import itertools
import os
import shutil
import signal
import time

from vectorfleet_operator import ports
from vectorfleet_operator.adapters.local import folder, store, volumes

_PROMOTED_SECONDS = 20
"""How long a primary is stopped at most: probes end one that is silent for thirty."""


class Trouble:
    """Does one thing after another to the replicas of an index of one shard.

    Args:
        local: the embedded default.
        shard: the name of the shard.
        mortal: the replica that is killed.
    """

    def __init__(self, local, shard, mortal):
        self._local, self._shard, self._mortal = local, shard, mortal
        self._next = itertools.cycle([self.stop_primary, self.kill, self.stop_primary, self.lose_disk])

    def go_on(self):
        """Do the next thing; returns its name."""
        what = next(self._next)
        what()
        return what.__name__.replace("_", " ")

    def stop_primary(self):
        """Stop the primary until another one leads."""
        leads = self.primary()
        pid = self._local.pids("soaked")[leads]
        os.kill(pid, signal.SIGSTOP)
        try:
            until = time.monotonic() + _PROMOTED_SECONDS
            while self.primary() == leads and time.monotonic() < until:
                time.sleep(0.2)
        finally:
            os.kill(pid, signal.SIGCONT)

    def kill(self):
        """Kill the one that is mortal; it is started again, with what it has on disk."""
        os.kill(self._local.pids("soaked")[self._mortal], signal.SIGKILL)

    def lose_disk(self):
        """Kill it and empty its volume: it is filled from segments of the primary, and joins again."""
        pid = self._local.pids("soaked")[self._mortal]
        os.kill(pid, signal.SIGSTOP)  # or it may be started again before its volume is empty
        for inside in self.volume(self._mortal).iterdir():
            if inside.is_dir():  # a folder of a segment without its files would be damage, not a new disk
                shutil.rmtree(inside, ignore_errors=True)
        os.kill(pid, signal.SIGKILL)

    def primary(self):
        """Return the name of the replica that leads."""
        return self._status()["configuration"]["primary"]

    def is_whole(self):
        """Tell whether the shard serves and nothing is bad: what was done to it is mended."""
        return {one["type"] for one in self._status()["conditions"] if one["status"] == "True"} == {"Ready"}

    def _status(self):
        [found] = store.read(folder.Folder(self._local.state).objects, ports.VECTOR_SHARD)
        return found["status"]

    def volume(self, replica):
        """Return the folder that is a replica's volume."""
        claims = volumes.claims(folder.Folder(self._local.state))
        [path] = [one.path for one in claims if one.pod[1] == replica]
        return path
