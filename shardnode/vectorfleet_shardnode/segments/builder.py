"""Merges sealed segments into one, in a process of its own, see `builder_process`.

The serving process keeps its cores' priority and its interpreter to itself: this one steps back, and dies
with its parent. It reads and writes files only; what it made counts once the parent's manifest names it.
"""

import logging
from pathlib import Path
from typing import Protocol

import faiss

from . import descriptor, manifest, sealed, writer


class Input(descriptor.Model):
    """A segment to merge; its tombstones as of when the job was written, in the job's folder."""

    folder: str
    described: descriptor.Descriptor
    tombstones: manifest.Tombstones | None


class Job(descriptor.Model):
    """What to build, from what, into which folder, with how many threads, and how it steps back.

    `extended` is the number of the input whose graph is extended, None to build a new one.
    """

    inputs: tuple[Input, ...]
    extended: int | None = None
    output: str
    recipe: descriptor.Recipe
    threads: int
    niceness: int
    yields: bool
    parent: int


class Process(Protocol):
    """A builder at work."""

    @property
    def returncode(self) -> int | None:
        """The exit status, None while it works."""

    def poll(self) -> int | None:
        """Return the exit status, None while it works."""

    def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the end; returns what it said on standard output and error."""

    def kill(self) -> None:
        """End it."""

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has had."""


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


def carry_out(path: Path) -> None:
    """Run the job that a file holds."""
    logging.basicConfig(format="%(message)s")
    run(Job.model_validate_json(path.read_bytes()), path.parent)
