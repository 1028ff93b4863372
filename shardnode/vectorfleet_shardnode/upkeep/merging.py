"""Builds a segment of others in a process of its own: of what, with what it needs, and what came of it."""

import dataclasses
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import errors, shard
from ..api import config
from ..limits import cgroup, estimates, guard
from ..segments import builder, builder_process, compaction, descriptor, manifest, sealed, yielding
from ..text import analysis
from . import layout

_LOG = logging.getLogger(__name__)
BUILD = "build"
StartBuilder = Callable[[builder.Job, Path], builder.Process]
"""Starts a builder for a job that is written to a path; `builder_process.start`."""


@dataclasses.dataclass
class Building:
    """A builder at work, its job, what it merges as it was when it began, and where its output goes.

    Attributes:
        looked: when it was last looked at.
        had: the CPU seconds that it had had by then.
    """

    process: builder.Process
    job: builder.Job
    inputs: tuple[sealed.SealedView, ...]
    output: Path
    started: float
    looked: float
    had: float = 0.0


class Merging:
    """One builder at a time, in the shard's build folder.

    Args:
        served: the shard.
        generation: what is built.
        start_builder: starts one.

    Attributes:
        under_way: the builder at work, None where there is none.
        policy: when what is merged.
        exact: whether nothing is ever built over the rows' values, whose scores are then never estimated.
    """

    def __init__(
        self, served: shard.Shard, generation: config.Generation, start_builder: StartBuilder
    ) -> None:
        self.under_way: Building | None = None
        self._shard = served
        self._generation = generation
        self._start_builder = start_builder
        tuning = served.tuning
        self.exact = self.recipe(indexed=True).spec.exact
        self.policy = compaction.Policy(
            self.recipe(indexed=True).indexes,
            tuning.unindexed_bytes,
            tuning.index_min_rows,
            tuning.stale_share,
        )

    def stop(self) -> None:
        """End the builder; its unfinished work is dropped."""
        if self.under_way:
            self.under_way.process.kill()
            self.under_way.process.communicate()

    def recipe(self, *, indexed: bool) -> descriptor.Recipe:
        """Return how a segment is made, with or without an engine over its rows."""
        wanted, schema = self._generation, self._shard.shape.schema
        return descriptor.Recipe(
            metric=wanted.metric,
            dimensions=wanted.dimensions,
            engine=wanted.engine if indexed else config.EngineKind.FLAT,
            hnsw=wanted.hnsw,
            ivf=wanted.ivf,
            quantization=wanted.quantization if indexed else config.Quantization(),
            vectors=wanted.vectors if indexed else tuple(field.uncoded for field in wanted.vectors),
            text=schema.text,
            language=schema.language if schema.text else config.Language.ENGLISH,
            analysis=analysis.VERSION if schema.text else 0,
            index_min_items=self._shard.tuning.index_min_rows if wanted.vectors else 0,
        )

    def begin(self, inputs: tuple[sealed.SealedView, ...], action: compaction.Merge) -> None:
        """Start a build that fits into memory and on the disk, or one that does with less."""
        if self._shard.limits.fits(self._need(inputs, action)):
            self._start_build(inputs, action)
            return
        if builder_process.let_go():
            return  # what it had may have been all that was missing: to be looked at again
        views = self._shard.snapshot.sealed
        if less := compaction.plan_without_graphs(self.policy, layout.sizes(views)):
            inputs = tuple(view for view in views if view.segment.name in less.names)
            if self._shard.limits.has_room(self._need(inputs, less)):
                self._start_build(inputs, less)

    def _need(self, inputs: Sequence[sealed.SealedView], action: compaction.Merge) -> guard.Need:
        given = [(view.segment.descriptor, view.live_rows) for view in inputs]
        making = self._generation if action.indexed else None
        merged = estimates.merge_of(given, making, extended=action.extended is not None)
        return guard.Need(merged.building + merged.opened, merged.disk)

    def _start_build(self, inputs: tuple[sealed.SealedView, ...], action: compaction.Merge) -> None:
        folder = self.workplace()
        recipe, output = self.recipe(indexed=action.indexed), folder / "merge"
        tuning, quiet = self._shard.tuning, time.monotonic() - self._shard.last_search
        given = []
        for number, view in enumerate(inputs):
            dead = manifest.write_tombstones(folder, view.live, number)
            home, described = str(view.segment.folder), view.segment.descriptor
            given.append(builder.Input(folder=home, described=described, tombstones=dead))
        job = builder.Job(
            inputs=tuple(given),
            extended=_extended(inputs, action, recipe),
            output=str(output),
            recipe=recipe,
            threads=tuning.build_threads or yielding.threads(cgroup.cores(), quiet),
            niceness=tuning.build_niceness,
            yields=tuning.build_yields,
            parent=os.getpid(),
        )
        process, now = self._start_builder(job, _paper(output)), time.monotonic()
        self.under_way = Building(process, job, inputs, output, now, now)

    def finish(self) -> tuple[Building, descriptor.Descriptor] | None:
        """Return the build that has ended, and what it made; None where none has.

        Raises:
            ShardError: the builder failed; its inputs are as they were.
        """
        building = self.under_way
        if building is None:
            return None
        if building.process.poll() is None:
            self._look_after(building)
            return None
        self.under_way = None
        _, said = building.process.communicate()
        if building.process.returncode == -signal.SIGKILL:
            self._shard.limits.note_killed()
        if building.process.returncode != 0:
            raise errors.ShardError(
                f"the builder ended with {building.process.returncode}: {_last_line(said)}"
            )
        content = (building.output / descriptor.FILE_NAME).read_bytes()
        return building, descriptor.Descriptor.model_validate_json(content)

    def _look_after(self, building: Building) -> None:
        """Start a builder again, as one that yields to nobody, where it gets too little of the cores."""
        wall = time.monotonic() - building.looked
        if not building.job.yields or wall < yielding.patience(building.had):
            return
        had = building.process.cpu_seconds()
        if yielding.starves(wall, had - building.had):
            _LOG.info("a builder starves, and is started again with more weight", extra={"cpu_seconds": had})
            building.process.kill()
            building.process.communicate()
            shutil.rmtree(building.output, ignore_errors=True)
            building.job = building.job.model_copy(update={"yields": False})
            building.process = self._start_builder(building.job, _paper(building.output))
        building.looked, building.had = time.monotonic(), had

    def workplace(self) -> Path:
        """Return the build folder; empty, unless a builder is at work in it."""
        folder = self._shard.folder / BUILD
        if self.under_way is None:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder / "flush", ignore_errors=True)
        folder.mkdir(exist_ok=True)
        return folder


def _extended(
    inputs: Sequence[sealed.SealedView], action: compaction.Merge, recipe: descriptor.Recipe
) -> int | None:
    """Return the number of the input whose graph is extended, None where none can be."""
    for number, view in enumerate(inputs):
        described = view.segment.descriptor
        if view.segment.name == action.extended and recipe.builds_the_same_graph(described.recipe):
            return number
    return None


def _paper(output: Path) -> Path:
    """Return the file that a job is written to."""
    return output.parent / "job.json"


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
