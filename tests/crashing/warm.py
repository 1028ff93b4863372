"""The handle of a warm process that starts shard nodes in milliseconds, see `warm_server`."""

import json
import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = Path(__file__).with_name("warm_server.py")


class Server:
    """The warm process, seen from the test. Not for several threads at a time."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def start(self, environment, said):
        """Start a node with these variables, its words appended to the file `said`; returns its pid."""
        return self._ask({"environment": environment, "said": str(said)})

    def wait(self, pid):
        """Wait for a node's end; returns the exit status, negative for a signal."""
        return self._ask({"wait": pid})

    def ended(self, pid):
        """Return the exit status of a node, None while it runs."""
        return self._ask({"wait": pid, "flags": os.WNOHANG})

    def close(self):
        """End the server, and what it started."""
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def _ask(self, request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())
