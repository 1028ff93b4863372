"""The processes of local pods: when one is taken to have ended, and what is told of its end."""

import os
import pathlib
import signal
import sys

import pytest
from services import embedded

from vectorfleet_operator.adapters.local import processes

_FIRST_THREAD_ENDS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
ctypes.CDLL(None).syscall({exit}, 2)
"""
_EXIT = {"x86_64": 60, "aarch64": 93}
"""The number of the call by which one thread ends and its process goes on."""


@pytest.mark.skipif(os.uname().machine not in _EXIT, reason="the call's number is not known here")
def test_a_process_lives_until_its_last_thread_has_ended(tmp_path):
    """Its first thread makes it a zombie by name; its ports are still held, and no status can be told."""
    code = _FIRST_THREAD_ENDS.format(exit=_EXIT[os.uname().machine])
    children, pod = processes.Children(), tmp_path / "pod"
    pod.mkdir()
    running = children.start(processes.Order((sys.executable, "-c", code), {}, tmp_path / "log", pod))
    embedded.Local.wait_until(lambda: _state(running.pid) == "Z")

    assert children.exit_of(running) is None
    assert running.is_alive()
    assert processes.recall(pod) == running

    running.end(at_once=True)
    embedded.Local.wait_until(lambda: not running.is_alive())
    assert children.exit_of(running) == -signal.SIGKILL


def _state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
