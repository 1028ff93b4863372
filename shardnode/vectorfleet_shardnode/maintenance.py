"""Keeps a shard's segments in shape, in one thread: flushes, builds, swaps, and cuts the log behind itself.

Order of every change: segment files durable, then the manifest, then the swap in memory, and only then the
deletion of what is no longer named. A crash between any two leaves a state that the next start can serve.
"""

import concurrent.futures
import dataclasses
import logging
import os
import queue
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from . import analysis, errors, failpoints, files, layout, metrics, pins, shard, sketching, transitions
from .api import config
from .limits import estimates, guard, relief
from .segments import builder, compaction, descriptor, growing, manifest, part, sealed, writer
from .snapshot import Snapshot

BUILD = "build"
Adoption = concurrent.futures.Future[bool]
"""Tells whether a segment that was offered is used."""
StartBuilder = Callable[[builder.Job, Path], builder.Process]
"""Starts a builder for a job that is written to a path; `builder.start`."""

_LOG = logging.getLogger(__name__)
_TICK = 0.1  # seconds between looks
_PAUSE = 1.0  # seconds after a failure


@dataclasses.dataclass(frozen=True)
class _Building:
    """A builder at work, what it merges as it was when it began, and where its output goes."""

    process: builder.Process
    inputs: tuple[sealed.SealedView, ...]
    output: Path
    started: float


class Maintenance:
    """The thread. `problem` says why it can't do its work, empty where it can."""

    def __init__(
        self,
        served: shard.Shard,
        generation: config.Generation,
        stored: manifest.Manifest,
        start_builder: StartBuilder = builder.start,
    ) -> None:
        self.problem = ""
        self.pins = pins.Pins()
        self.following = False  # another replica builds, and what it has built is offered
        self.awaited: int | None = None  # the first seq of what would be merged, but waits for an offer
        self._offers: queue.SimpleQueue[tuple[Path, descriptor.Descriptor, Adoption]] = queue.SimpleQueue()
        self._idle_at = time.monotonic()  # when there was last nothing to merge, or something was adopted
        self._start_builder = start_builder
        self._shard = served
        self._generation = generation
        self._manifest = stored
        self._halted = ""  # why nothing more can be done until a restart
        self._building: _Building | None = None
        self._all_indexed_at = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)
        tuning = served.tuning
        self._policy = compaction.Policy(
            not self.recipe(indexed=True).spec.exact,
            tuning.unindexed_bytes,
            tuning.index_min_rows,
            tuning.stale_share,
        )

    @property
    def building(self) -> bool:
        """Whether a builder is at work."""
        return self._building is not None

    def waiting_rows(self) -> int:
        """Return how many live rows wait for a graph."""
        state = self._shard.snapshot
        return compaction.waiting_rows(
            self._policy, layout.growing_rows(state.growing), layout.sizes(state.sealed)
        )

    def offer(self, output: Path, described: descriptor.Descriptor) -> Adoption:
        """Offer a finished segment of another replica of this shard, in place of building one.

        Its files are in `output`, a folder on this volume that nothing else uses, verified and durable; they
        are moved away if it is adopted. Adopted are the rows that live here by the same writes.

        Args:
            output: the files that `described` names.
            described: as the other replica's manifest has it.

        Returns:
            Done in the maintenance thread: whether it was adopted. Not where none of its rows lives here, its
            newest row is not committed here yet, or there is no memory for it; then the files are left where
            they are.
        """
        adoption: Adoption = concurrent.futures.Future()
        self._offers.put((output, described, adoption))
        self._shard.frozen.set()
        return adoption

    def _take_offer(self) -> None:
        try:
            output, described, adoption = self._offers.get_nowait()
        except queue.Empty:
            return
        try:
            adoption.set_result(self._adopt_offered(output, described))
        except Exception as failure:
            adoption.set_exception(failure)
            raise

    def _adopt_offered(self, output: Path, described: descriptor.Descriptor) -> bool:
        if described.last_seq > self._shard.snapshot.seq:
            return False
        started = time.monotonic()
        resident = estimates.resident_of(described)
        if not self._shard.limits.has_room(guard.Need(resident.needed, 0)):
            return False
        opened = sealed.SealedSegment(output, described, graphs=False)
        every = sealed.SealedView(opened, np.ones(described.rows, np.bool_))
        state = self._shard.snapshot
        if transitions.adopted(state, every) is state:
            return False
        added = self._adopt(output, described)
        state = transitions.adopted(self._shard.snapshot, added)
        self._renew(state, self._manifest.covered_seq, self._manifest.next_number + 1)
        self._shard.adopt(added)
        self._clean()
        self._idle_at = time.monotonic()
        self._note("adopt", added, started)
        return True

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and the builder with it; its unfinished work is dropped."""
        self._stopping.set()
        self._shard.frozen.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._building:
            self._building.process.kill()
            self._building.process.communicate()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step()
                self.problem = ""
            except Exception as failure:  # noqa: BLE001 (the thread must outlive what it meets)
                metrics.BUILD_FAILURES.inc()
                self.problem = f"segments can't be written: {failure}"
                _LOG.warning("maintenance failed, will try again", extra={"error": str(failure)})
                self._stopping.wait(_PAUSE)
            self._shard.frozen.wait(_TICK)
            self._shard.frozen.clear()

    def step(self) -> None:
        """Do what is to be done now, at most one thing of each kind.

        Raises:
            ShardError, OSError: it can't be done; why.
        """
        if self._shard.failed:
            return  # nothing can be installed any more; a restart reads what is there
        if self._halted:
            raise errors.ShardError(self._halted)
        self._look_for_room()
        state = self._shard.snapshot
        if len(state.growing) > 1:
            self._flush(state.growing[0])
        if self._policy.indexes:
            sketching.extend(self._shard.snapshot)
        if self._building:
            self._finish_build(self._building)  # its inputs must stay, so nothing is adopted meanwhile
        else:
            self._take_offer()
            self._begin(self._plan())

    def _plan(self) -> compaction.Action | None:
        state = self._shard.snapshot
        sizes = layout.sizes(state.sealed)
        rows = layout.growing_rows(state.growing)
        action = compaction.plan(self._policy, rows, sizes, self._pace(state.sealed))
        now = time.monotonic()
        if not isinstance(action, compaction.Merge):
            self._idle_at, self.awaited = now, None
            return action
        chosen = [view for view in state.sealed if view.segment.name in action.names]
        # What has no graph is written as cheaply as it is fetched.
        waits = self.following and self._policy.indexes and any(view.live_rows for view in chosen)
        if waits and now - self._idle_at < self._shard.tuning.build_anyway_seconds:
            self.awaited = min(view.segment.descriptor.first_seq for view in chosen)
            return None
        self.awaited = None
        return action

    def wait_on(self) -> None:
        """Go on waiting for what another replica builds, or what is on its way from there."""
        self._idle_at = time.monotonic()

    @property
    def built(self) -> int:
        """A number that grows whenever a segment with a graph is built or adopted; 0 where there is none."""
        views = self._shard.snapshot.sealed
        return max((int(view.segment.name) for view in views if view.segment.indexed), default=0)

    def _pace(self, views: Sequence[sealed.SealedView]) -> compaction.Pace:
        now, tuning = time.monotonic(), self._shard.tuning
        if all(view.segment.indexed for view in views):
            self._all_indexed_at = now
        if now - self._shard.last_write >= tuning.settle_seconds:
            return compaction.Pace.RESTING
        if now - self._all_indexed_at >= tuning.index_after_seconds:
            return compaction.Pace.STEADY
        return compaction.Pace.LOADING

    def _begin(self, action: compaction.Action | None) -> None:
        match action:
            case None:
                self._shard.limits.note_nothing_waits()
            case compaction.Flush():
                if len(self._shard.snapshot.growing) == 1 and not self._shard.freezing:  # else one waits
                    self._shard.freeze()
            case compaction.Merge():
                views = self._shard.snapshot.sealed
                inputs = tuple(view for view in views if view.segment.name in action.names)
                if any(view.live_rows for view in inputs):
                    self._build_or_wait(inputs, action)
                else:
                    self._swap(inputs, None, self._manifest.covered_seq)

    def _flush(self, frozen: growing.GrowingView) -> None:
        """Seal a frozen segment: its rows to files, and the log behind it away."""
        covered = frozen.segment.frozen_at
        if covered is None or covered > self._shard.snapshot.seq:
            raise errors.ShardError("a segment that still grows, or is not committed, can't be flushed")
        started, added = time.monotonic(), None
        if frozen.live_rows:
            output = self._workplace() / "flush"
            output.mkdir()
            described = writer.write(output, [layout.source_of(frozen)], self.recipe(indexed=False))
            added = self._adopt(output, described)
        self._swap((frozen,), added, covered)
        self._note("flush", added, started)

    def _workplace(self) -> Path:
        """Return the build folder; empty, unless a builder is at work in it."""
        folder = self._shard.folder / BUILD
        if self._building is None:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder / "flush", ignore_errors=True)
        folder.mkdir(exist_ok=True)
        return folder

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
            vectors=wanted.vectors,
            text=schema.text,
            language=schema.language if schema.text else config.Language.ENGLISH,
            analysis=analysis.VERSION if schema.text else 0,
            index_min_items=self._shard.tuning.index_min_rows if wanted.vectors else 0,
        )

    def _build_or_wait(self, inputs: tuple[sealed.SealedView, ...], action: compaction.Merge) -> None:
        """Start a build that fits into memory and on the disk, or one that does with less."""
        if self._shard.limits.fits(self._need(inputs, action)):
            self._start_build(inputs, action)
            return
        views = self._shard.snapshot.sealed
        if less := compaction.plan_without_graphs(self._policy, layout.sizes(views)):
            inputs = tuple(view for view in views if view.segment.name in less.names)
            if self._shard.limits.has_room(self._need(inputs, less)):
                self._start_build(inputs, less)

    def _need(self, inputs: Sequence[sealed.SealedView], action: compaction.Merge) -> guard.Need:
        given = [(view.segment.descriptor, view.live_rows) for view in inputs]
        making = self._generation if action.indexed else None
        merged = estimates.merge_of(given, making, extended=action.extended is not None)
        return guard.Need(merged.building + merged.opened, merged.disk)

    def _start_build(self, inputs: tuple[sealed.SealedView, ...], action: compaction.Merge) -> None:
        folder = self._workplace()
        recipe = self.recipe(indexed=action.indexed)
        tuning = self._shard.tuning
        given = []
        for number, view in enumerate(inputs):
            dead = manifest.write_tombstones(folder, view.live, number)
            home, described = str(view.segment.folder), view.segment.descriptor
            given.append(builder.Input(folder=home, described=described, tombstones=dead))
        job = builder.Job(
            inputs=tuple(given),
            extended=_extended(inputs, action, recipe),
            output=str(folder / "merge"),
            recipe=recipe,
            threads=tuning.threads,
            niceness=tuning.build_niceness,
            parent=os.getpid(),
        )
        process = self._start_builder(job, folder / "job.json")
        self._building = _Building(process, inputs, folder / "merge", time.monotonic())

    def _finish_build(self, building: _Building) -> None:
        if building.process.poll() is None:
            return
        self._building = None
        _, said = building.process.communicate()
        if building.process.returncode == -signal.SIGKILL:
            self._shard.limits.note_killed()
        if building.process.returncode != 0:
            raise errors.ShardError(
                f"the builder ended with {building.process.returncode}: {_last_line(said)}"
            )
        described = descriptor.Descriptor.model_validate_json(
            (building.output / descriptor.FILE_NAME).read_bytes()
        )
        added = self._adopt(building.output, described)
        self._swap(building.inputs, added, self._manifest.covered_seq)
        self._note("merge", added, building.started)

    def _adopt(self, output: Path, described: descriptor.Descriptor) -> sealed.SealedView:
        """Give a finished segment its name and open it; it counts once the manifest names it."""
        number = self._manifest.next_number
        home = self._shard.folder / manifest.SEGMENTS / f"{number:012d}"
        shutil.rmtree(home, ignore_errors=True)
        failpoints.reached("adopt.before-fsync")
        files.fsync_path(output)
        failpoints.reached("adopt.synced")
        output.rename(home)
        failpoints.reached("adopt.renamed")
        files.fsync_path(home.parent)
        failpoints.reached("adopt.durable")
        segment = sealed.SealedSegment(home, described)
        return sealed.SealedView(segment, np.ones(described.rows, np.bool_))

    def _swap(self, before: Sequence[part.Part], added: sealed.SealedView | None, covered: int) -> None:
        state = transitions.replaced(self._shard.snapshot, before, added)
        self._renew(state, covered, self._manifest.next_number + (1 if added else 0))
        self._shard.install(before, added)
        failpoints.reached("swap.installed")
        self._clean()

    def _renew(self, state: Snapshot, covered: int, next_number: int) -> None:
        """Write the manifest of a state's segments."""
        listed = tuple(self._list(view, state.seq) for view in state.sealed)
        renewed = manifest.Manifest(
            uid=self._manifest.uid,
            covered_epoch=self._shard.epoch_at(covered),
            covered_seq=covered,
            durable_seq=state.seq,
            next_number=next_number,
            segments=listed,
            write_ids=self._manifest.write_ids if self._shard.log.carries_writes else None,
        )
        self._write_manifest(renewed)
        self._manifest = renewed

    def _clean(self) -> None:
        """Give up what the manifest has made superfluous."""
        self._trim_log()
        failpoints.reached("swap.trimmed")
        with self.pins.lock:
            manifest.clean(self._shard.folder, self._manifest, self.pins.names)
        failpoints.reached("swap.cleaned")

    def _trim_log(self) -> None:
        """Give up log that segments cover; what is being copied is followed by its log, if there is room."""
        covered = self._manifest.covered_seq
        short = self._shard.limits.problem or self._shard.limits.disk_is_full
        self._shard.trim_log(covered if short else self.pins.covered(covered))

    def _write_manifest(self, renewed: manifest.Manifest) -> None:
        try:
            manifest.write(self._shard.folder, renewed)
        except files.UnsureError as unsure:
            # Either may be in force after a power cut, so nothing that one of them names may go.
            self._halted = f"{unsure.strerror}; nothing more is written until a restart"
            raise

    def _list(self, view: sealed.SealedView, seq: int) -> manifest.Listed:
        """Return a segment's entry; tombstones are written anew only where there are more."""
        known = {listed.name: listed for listed in self._manifest.segments}.get(view.segment.name)
        if known and (known.tombstones.dead if known.tombstones else 0) == view.dead_rows:
            return known
        tombstones = manifest.write_tombstones(view.segment.folder, view.live, seq)
        return manifest.Listed(
            name=view.segment.name, described=view.segment.descriptor, tombstones=tombstones
        )

    def _note(self, kind: str, added: sealed.SealedView | None, started: float) -> None:
        seconds, rows = time.monotonic() - started, added.segment.rows if added else 0
        metrics.BUILD_SECONDS.labels(kind).observe(seconds)
        metrics.BUILT_ROWS.labels(kind).inc(rows)
        _LOG.info("sealed a segment", extra={"kind": kind, "rows": rows, "seconds": round(seconds, 3)})

    def _look_for_room(self) -> None:
        """Find out whether writes can be taken again, without waiting for somebody's write."""
        limits, state = self._shard.limits, self._shard.snapshot
        if limits.memory_is_short:
            self._relieve()
        if limits.restricted:
            self._load_graphs()
        if limits.disk_is_full:
            self._probe_disk()
        self._trim_log()  # what is kept of it goes first
        limits.look(state.stored_bytes)

    def _relieve(self) -> None:
        """Seal what grows, and give the kernel back what was freed."""
        state = self._shard.snapshot
        if len(state.growing) == 1 and state.growing[0].segment.rows and not self._shard.freezing:
            self._shard.freeze()
        relief.give_back()

    def _load_graphs(self) -> None:
        """Open the graphs that the start left out, once some are gone and the rest fits."""
        waiting = [view for view in self._shard.snapshot.sealed if not view.segment.searched]
        graphs = sum(estimates.resident_of(view.segment.descriptor).graphs for view in waiting)
        if not self._shard.limits.may_load(graphs):
            return
        for view in waiting:
            segment = sealed.SealedSegment(view.segment.folder, view.segment.descriptor)
            self._shard.install((view,), sealed.SealedView(segment, view.live))
        self._shard.limits.note_loaded()

    def _probe_disk(self) -> None:
        probe = self._shard.folder / BUILD / "probe"
        try:
            files.write_durably(probe, bytes(64 << 10))
        except OSError:
            return
        finally:
            probe.unlink(missing_ok=True)
        self._shard.limits.note_written()


def _extended(
    inputs: Sequence[sealed.SealedView], action: compaction.Merge, recipe: descriptor.Recipe
) -> int | None:
    """Return the number of the input whose graph is extended, None where none can be."""
    for number, view in enumerate(inputs):
        described = view.segment.descriptor
        if view.segment.name == action.extended and recipe.builds_the_same_graph(described.recipe):
            return number
    return None


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
