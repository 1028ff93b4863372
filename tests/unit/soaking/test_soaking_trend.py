"""The rule of the memory soak: what comes and goes passes, what adds up is found, in a real process too."""

import math
import random
import subprocess
import sys

import pytest
from soaking import resources, trend

BOUND = trend.Bound(share=0.05, slack=8)
LOOKS = 720
"""An hour's, one every five seconds."""


def sawtooth(number):
    """A process that takes 40 MiB more while it merges, every 40 looks, on 150 it always has."""
    return 150 + (number % 40) + random.Random(number).uniform(-2, 2)


def warming(number):
    """The same, while a cache fills in the first ten minutes."""
    return sawtooth(number) + 100 * (1 - math.exp(-number / 30))


@pytest.mark.parametrize("held", [sawtooth, warming])
def test_what_comes_and_goes_is_level(held):
    """Peaks and a cache that has filled once are no leak, though the last sample is above the first."""
    assert trend.judge("one", "memory", [held(number) for number in range(LOOKS)], BOUND).level


def test_a_small_leak_is_found():
    """50 MiB in an hour, below peaks as large: a third of a KiB for each of forty requests a second."""
    leaking = [warming(number) + 50 * number / LOOKS for number in range(LOOKS)]
    found = trend.judge("one", "memory", leaking, BOUND)
    assert not found.level
    assert "LEAKS" in str(found)


def test_what_falls_is_level():
    """Memory that is given back is nothing to complain about."""
    assert trend.judge("one", "memory", [200 - number / 10 for number in range(LOOKS)], BOUND).level


def test_too_few_samples_are_refused():
    """Nothing is said to be level that was hardly looked at."""
    with pytest.raises(ValueError, match="3 samples of one are too few"):
        trend.judge("one", "memory", [1, 2, 3], BOUND)


PROGRAM = """
import os, sys
kept = []
for line in sys.stdin:
    passing = bytearray(b"x" * (8 << 20))  # what any request takes, and gives back
    if line.strip() == "memory":
        kept.append(bytearray(b"x" * (1 << 20)))
    if line.strip() == "files":
        kept.append(open(os.devnull))
    print(flush=True)
"""


@pytest.mark.parametrize(
    ("leaks", "quantity"), [("memory", "anonymous"), ("memory", "resident"), ("files", "files")]
)
def test_a_process_that_leaks_is_found(leaks, quantity):
    """A MiB of memory, or a file, that stays of every request; the same process without it is level."""
    bound = trend.Bound(share=0.05, slack=8)
    assert looked_at("nothing", quantity, bound).level
    assert not looked_at(leaks, quantity, bound).level


def looked_at(word, quantity, bound):
    """Judge a process by a sample after each of 40 requests."""
    samples = []
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for _ in range(40):
            process.stdin.write(word + "\n")
            process.stdin.flush()
            process.stdout.readline()
            samples.append(getattr(resources.read(process.pid), quantity))
        process.stdin.close()
    return trend.judge("child", quantity, samples, bound)


def test_threads_children_and_disk_are_counted(tmp_path):
    """A child that has ended and was not waited for counts: it is what a leak of processes looks like."""
    (tmp_path / "file").write_bytes(b"x" * (2 << 20))
    program = "import subprocess, sys, threading; c = subprocess.Popen(['true']); e = threading.Event()\n"
    program += (
        "threading.Thread(target=e.wait).start(); print(flush=True); sys.stdin.read(); c.wait(); e.set()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        found = resources.read(process.pid, tmp_path)
        process.stdin.close()
    assert (found.threads, found.children) == (2, 1)
    assert found.disk == pytest.approx(2, abs=0.1)
    assert found.anonymous <= found.resident
