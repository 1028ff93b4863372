"""Merges sealed segments into one, in a process of its own: `python -m …segments.builder JOB`.

The serving process keeps its cores' priority and its interpreter to itself: this one is niced, and dies
with its parent. It reads and writes files only; what it made counts once the parent's manifest names it.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import faiss

from . import descriptor, manifest, sealed, writer

_PR_SET_PDEATHSIG = 1
_VICTIM = Path("/proc/self/oom_score_adj")
"""Where memory runs out all the same, the kernel is to end a builder, and not the process that serves."""


class Input(descriptor.Model):
    """A segment to merge; its tombstones as of when the job was written, in the job's folder."""

    folder: str
    described: descriptor.Descriptor
    tombstones: manifest.Tombstones | None


class Job(descriptor.Model):
    """What to build, from what, into which folder, with how many threads and at which niceness.

    `extended` is the number of the input whose graph is extended, None to build a new one.
    """

    inputs: tuple[Input, ...]
    extended: int | None = None
    output: str
    recipe: descriptor.Recipe
    threads: int
    niceness: int
    parent: int


class Process(Protocol):
    """A builder at work, as `subprocess.Popen` shows it."""

    @property
    def returncode(self) -> int | None:
        """The exit status, None while it works."""

    def poll(self) -> int | None:
        """Return the exit status, None while it works."""

    def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the end; returns what it said on standard output and error."""

    def kill(self) -> None:
        """End it."""


def start(job: Job, path: Path) -> Process:
    """Start a builder for a job, which is written to `path`; its messages come on standard error."""
    path.write_text(job.model_dump_json())
    command = [sys.executable, "-m", "vectorfleet_shardnode.segments.builder", str(path)]
    # Threads that wait must not spin: serving threads want the cores.
    environment = os.environ | {
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)


def run(job: Job, folder: Path) -> descriptor.Descriptor:
    """Build the segment of a job; `folder` holds the job's tombstone files.

    Raises:
        DataLossError: an input is damaged.
        OSError: the disk is full or failing.
    """
    faiss.omp_set_num_threads(job.threads)
    views = []
    for given in job.inputs:
        live = manifest.read_live(folder, given.described.rows, given.tombstones)
        views.append(
            sealed.SealedView(sealed.SealedSegment(Path(given.folder), given.described, graphs=False), live)
        )
    sources = [sealed.source_of(view, job.recipe.language) for view in views]
    extended = None if job.extended is None else sealed.graphs_of(views[job.extended], job.extended)
    output = Path(job.output)
    output.mkdir()
    return writer.write(output, sources, job.recipe, extended)


def main() -> int:
    """Run the job that the first argument names."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    logging.basicConfig(format="%(message)s")
    path = Path(sys.argv[1])
    job = Job.model_validate_json(path.read_bytes())
    if os.getppid() != job.parent:
        return 1  # it died before the signal was asked for
    os.nice(job.niceness)
    _VICTIM.write_text("1000")
    run(job, path.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
