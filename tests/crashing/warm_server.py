"""Starts shard nodes in milliseconds: a process that has imported everything forks one for each start.

What runs is the program's own `main`, in a process that SIGKILL ends as it ends any other. The builders
that a node starts are forked as well, from a child of the node, and die with it as real ones do.
Rule: nothing that is imported here starts a thread, for only one thread survives a fork.
"""

import contextlib
import ctypes
import functools
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

from vectorfleet_shardnode import __main__ as node
from vectorfleet_shardnode import failpoints, storage
from vectorfleet_shardnode.segments import builder, yielding

_PR_SET_PDEATHSIG = 1


def main():
    """Serve requests until standard input ends."""
    statuses = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = _wait(statuses, request["wait"], request.get("flags", 0))
        else:
            answer = os.fork() or _be_a_node(request)
            statuses.pop(answer, None)  # of a process that had this number before
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _wait(statuses, pid, flags):
    if pid not in statuses:
        found, status = os.waitpid(pid, flags)
        if found == 0:
            return None
        statuses[pid] = os.waitstatus_to_exitcode(status)
    return statuses[pid]


def _die_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _be_a_node(request):
    _die_with_parent()
    said = os.open(request["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(request["environment"])
    builders = _Builders()
    failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
    storage.open_shard = functools.partial(storage.open_shard, start_builder=builders.start)
    _exit_with(node.main)


def _exit_with(function):
    """Run to the end of this process, as the interpreter does with a program."""
    status = 1
    try:
        function()
        status = 0
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:  # noqa: BLE001 (it is told, and the process ends)
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Builders:
    """A child of the node that was forked before it had threads; it forks the builders."""

    def __init__(self):
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._socket.close()
            _die_with_parent()
            _serve_builders(theirs)
        theirs.close()

    def start(self, job, path):
        path.write_text(job.model_copy(update={"parent": 0}).model_dump_json())
        self._socket.send(str(path).encode())
        return _Builder(self._socket)


class _Builder:
    """One builder, as `subprocess.Popen` would show it."""

    def __init__(self, connection):
        self._socket = connection
        self.returncode = None

    def poll(self):
        if self.returncode is None and select.select([self._socket], [], [], 0)[0]:
            self.returncode = int(self._socket.recv(64) or b"1")
        return self.returncode

    def communicate(self):
        if self.returncode is None:
            self.returncode = int(self._socket.recv(64) or b"1")
        return b"", b"see the node's words"

    def kill(self):
        """It is waited for: it is small."""

    def cpu_seconds(self):
        """As if it had all that it wants: it is small."""
        return float("inf")


def _serve_builders(connection):
    while path := connection.recv(4096).decode():
        pid = os.fork()
        if pid == 0:
            _die_with_parent()
            _exit_with(functools.partial(_build, Path(path)))
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _build(path):
    job = builder.Job.model_validate_json(path.read_bytes())
    yielding.step_back(job.niceness, yields=job.yields)
    builder.run(job, path.parent)


if __name__ == "__main__":
    main()
