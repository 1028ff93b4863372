"""A service as a process of its own, for tests: it listens on a free port, and is up when it answers."""

import contextlib
import http.client
import subprocess
import sys
import time

START_SECONDS = 60


@contextlib.contextmanager
def running(*arguments, port):
    """Run a Python program that listens on a port; yield once `GET /health` answers."""
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await(process, port)
        yield
    finally:
        process.kill()
        process.wait()


def _await(process, port):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "the service ended by itself"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the service did not answer within {START_SECONDS} s")
