"""Ports of this machine for the processes that tests start.

They lie below the range from which the kernel gives ports to connections (32768 and up on Linux), and each
worker of the test run has a part of its own: a port found free stays free until its process binds it.
"""

import itertools
import os
import random
import socket

_FIRST, _EACH, _WORKERS = 12_000, 2_200, 8


def _numbers():
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    begin = random.randrange(_EACH)  # another test run beside this one begins elsewhere
    for step in itertools.count(begin):
        yield _FIRST + worker * _EACH + step % _EACH


_NUMBERS = _numbers()


def free_port(hosts=("127.0.0.1",)):
    """Return a port on which nobody listens at any of these addresses, given to nobody else here."""
    return next(port for port in itertools.islice(_NUMBERS, _EACH) if _is_free(port, hosts))


def _is_free(port, hosts):
    try:
        for host in hosts:
            with socket.socket() as probe:
                probe.bind((host, port))
    except OSError:
        return False
    return True
