"""Round after round: start, check every row, write, and be killed at a random moment.

The moments lie under writes, in the rest after them, when maintenance settles, and in the start itself. A
failure names seed and round; `left` beside the data is the folder as the last kill left it.
"""

import collections
import dataclasses
import random
import shutil
import signal
import time

from crashing import history, node

CLIENTS = 3
_UNHURRIED = 5.0


@dataclasses.dataclass
class Tally:
    """What came about, so that a run shows what it was worth."""

    answered: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    ends: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    found: collections.Counter = dataclasses.field(default_factory=collections.Counter)


class Rounds:
    """The rounds of one folder.

    Args:
        server: starts the processes.
        folder: an existing folder.
        seed: of every draw; what the clients' writes meet in time can't be drawn again.
        tuning: bounds of the storage.
    """

    def __init__(self, server, folder, seed, **tuning):
        self.node = node.Node(server, folder, **tuning)
        self.seed, self.tally = seed, Tally()
        self._numbers = random.Random(seed)
        self._rows, self._clients = [{}] * CLIENTS, []
        self._left = folder / "left"
        self._pace, self._played = 1.0, 0

    def run(self, count, progress=lambda round_, tally: None):
        """Go through the rounds, and check once more at the end.

        Raises:
            AssertionError: something that was answered isn't so, or the shard does not start.
        """
        for _ in range(count):
            self._play()
            progress(self._played, self.tally)
        self._check(self.node.serve())
        self._end(signal.SIGKILL)

    def run_until_all_is_found(self, most):
        """Go on, at a pace that a busy machine keeps up with, until kills have interrupted all there is.

        Raises:
            AssertionError: as `run`; or it was not so after `most` more rounds.
        """
        self._pace, last = _UNHURRIED, self._played + most
        while not all(self.tally.found.values()):
            assert self._played < last, f"never interrupted in {last} rounds: {self.tally}"
            self._play()

    def _play(self):
        number, self._played = self._played, self._played + 1
        try:
            self._go(number)
        except Exception as failure:
            raise AssertionError(
                f"seed {self.seed}, round {number}: {failure}\n"
                f"the folder as the kill left it: {self._left}\n{self.node.said()}"
            ) from failure

    def _go(self, number):
        if self._numbers.random() < 0.1:
            self._die_at_the_start()
            return
        stub = self.node.serve()
        self._check(stub)
        self._clients = history.start(stub, self._rows, f"{self.seed}-{number}")
        time.sleep(self._pace * self._numbers.uniform(0, 0.25))
        end = self._numbers.choices(["writing", "resting", "stopping"], [84, 13, 3])[0]
        if end != "writing":
            self._rest()
        self.tally.ends[end] += 1
        self._end(signal.SIGTERM if end == "stopping" else signal.SIGKILL)

    def _die_at_the_start(self):
        self.node.start()
        time.sleep(self._numbers.uniform(0, 0.12))
        self.tally.ends["starting"] += 1
        self._end(signal.SIGKILL)

    def _check(self, stub):
        if self._clients:
            self._rows = history.check(stub, self._clients)

    def _rest(self):
        for client in self._clients:
            client.stopping.set()
        for client in self._clients:
            client.join()
        time.sleep(self._pace * self._numbers.uniform(0, 0.4))

    def _end(self, number):
        self.node.kill(number)
        for client in self._clients:
            client.join()
        status = self.node.wait()
        wanted = -number if number == signal.SIGKILL else 0
        assert status == wanted, f"the process ended with {status}"
        for client in self._clients:
            self._take_note(client)
        self._look()

    def _take_note(self, client):
        if client.failure and client.failure.code().name not in ("UNAVAILABLE", "CANCELLED"):
            raise AssertionError(f"a write was refused: {client.failure.details()}")
        self.tally.answered.update(client.answered)
        client.answered = []

    def _look(self):
        """Keep what was left, and note what the kill interrupted."""
        shutil.rmtree(self._left, ignore_errors=True)
        if not self.node.data.exists():  # killed before it made its folder
            return
        shutil.copytree(self.node.data, self._left, ignore_dangling_symlinks=True)
        found = {
            "a build": "build/merge/*",
            "a flush": "build/flush/*",
            "a file half made": "**/tmp-*",
            "a graph": "segments/*/graph.faiss",
            "tombstones": "segments/*/dead-*",
            "log files to cut": "log/*[1-9].log",
        }
        for what, pattern in found.items():
            self.tally.found[what] += any(True for _ in self._left.glob(pattern))
