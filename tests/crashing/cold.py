"""Starts shard nodes as a cluster does: the program by its name, in a new interpreter. See also `warm`."""

import os
import subprocess
import sys


class Server:
    """Starts nodes; `environment` goes to each, and `program` is what runs."""

    def __init__(self, environment=None, program=("-m", "vectorfleet_shardnode")):
        self._environment = os.environ | (environment or {})
        self._program = program
        self._processes = {}

    def start(self, environment, said):
        """Start a node with these variables, its words appended to the file `said`; returns its pid."""
        with said.open("ab") as words:
            process = subprocess.Popen(
                [sys.executable, *self._program],
                env=self._environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
            )
        self._processes[process.pid] = process
        return process.pid

    def wait(self, pid):
        """Wait for a node's end; returns the exit status, negative for a signal."""
        return self._processes[pid].wait(60)

    def ended(self, pid):
        """Return the exit status of a node, None while it runs."""
        return self._processes[pid].poll()

    def close(self):
        """End what still runs."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
