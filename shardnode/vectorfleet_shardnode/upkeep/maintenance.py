"""Keeps a shard's segments in shape, in one thread: flushes, builds, adopts, and looks for room.

It decides when; `merging` builds, and `stored_segments` lets what was made stand for what it was made of.
"""

import concurrent.futures
import logging
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import errors, files, metrics, relief, shard, transitions
from ..api import config
from ..limits import estimates, guard
from ..segments import (
    builder_process,
    compaction,
    descriptor,
    growing,
    manifest,
    sealed,
    writer,
    yielding,
)
from . import layout, merging, stored_segments

Adoption = concurrent.futures.Future[bool]
"""Tells whether a segment that was offered is used."""

_LOG = logging.getLogger(__name__)
_TICK = 0.1  # seconds between looks
_ADOPTED = "adopt"
_PAUSE = 1.0  # seconds after a failure


class Maintenance:
    """The thread. `problem` says why it can't do its work, empty where it can."""

    def __init__(
        self,
        served: shard.Shard,
        generation: config.Generation,
        stored: manifest.Manifest,
        start_builder: merging.StartBuilder = builder_process.start,
    ) -> None:
        self.problem = ""
        self.following = False  # another replica builds, and what it has built is offered
        self.awaited: int | None = None  # the first seq of what would be merged, but waits for an offer
        self._offers: queue.SimpleQueue[tuple[Path, descriptor.Descriptor, Adoption]] = queue.SimpleQueue()
        self._idle_at = time.monotonic()  # when there was last nothing to merge, or something was adopted
        self._shard = served
        self._stored = stored_segments.StoredSegments(served, stored)
        self._merging = merging.Merging(served, generation, start_builder)
        self.pins = self._stored.pins
        self._all_indexed_at = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)
        self._policy = self._merging.policy

    @property
    def policy(self) -> compaction.Policy:
        """When what is merged."""
        return self._policy

    @property
    def building(self) -> bool:
        """Whether a builder is at work."""
        return self._merging.under_way is not None

    def recipe(self, *, indexed: bool) -> descriptor.Recipe:
        """Return how a segment is made, with or without an engine over its rows."""
        return self._merging.recipe(indexed=indexed)

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
        added = self._stored.adopt(output, described)
        self._stored.stand_in(added)
        self._idle_at = time.monotonic()
        self._note(_ADOPTED, added, started)
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
        self._merging.stop()

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
        self._stored.check()
        self._look_for_room()
        state = self._shard.snapshot
        self._shard.digests.look(state, time.monotonic())
        if len(state.growing) > 1:
            self._flush(state.growing[0])
        if not self._merging.exact:
            self._shard.snapshot.keep_sketch()
        if self.building:
            self._finish_build()  # its inputs must stay, so nothing is adopted meanwhile
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
        waits = self.following and action.indexed and any(view.live_rows for view in chosen)
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
        watched = yielding.watched(now - self._shard.last_search)
        return compaction.Pace.WATCHED if watched else compaction.Pace.LOADING

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
                    self._merging.begin(inputs, action)
                else:
                    self._stored.swap(inputs, None, self._stored.covered_seq)

    def _finish_build(self) -> None:
        if ended := self._merging.finish():
            building, described = ended
            added = self._stored.adopt(building.output, described)
            self._stored.swap(building.inputs, added, self._stored.covered_seq)
            self._note("merge", added, building.started)

    def _flush(self, frozen: growing.GrowingView) -> None:
        """Seal a frozen segment: its rows to files, and the log behind it away."""
        covered = frozen.segment.frozen_at
        if covered is None or covered > self._shard.snapshot.seq:
            raise errors.ShardError("a segment that still grows, or is not committed, can't be flushed")
        started, added = time.monotonic(), None
        if frozen.live_rows:
            output = self._merging.workplace() / "flush"
            output.mkdir()
            described = writer.write(output, [layout.source_of(frozen)], self.recipe(indexed=False))
            added = self._stored.adopt(output, described)
            self._shard.snapshot.sketch.carry_over(frozen, added)
        self._stored.swap((frozen,), added, covered)
        self._note("flush", added, started)

    def _note(self, kind: str, added: sealed.SealedView | None, started: float) -> None:
        seconds, rows = time.monotonic() - started, added.segment.rows if added else 0
        metrics.BUILD_SECONDS.labels(kind).observe(seconds)
        metrics.BUILT_ROWS.labels(kind).inc(rows)
        if added and kind != _ADOPTED:  # what is fetched is counted where it is fetched
            metrics.BUILT_BYTES.labels(kind).inc(added.segment.descriptor.bytes)
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
        self._stored.trim_log_at(time.monotonic())  # what is kept of it goes first
        limits.look(state.stored_bytes)

    def _relieve(self) -> None:
        """Seal what grows, and give the kernel back what was freed, and what nothing works with."""
        state = self._shard.snapshot
        if len(state.growing) == 1 and state.growing[0].segment.rows and not self._shard.freezing:
            self._shard.freeze()
        builder_process.let_go()
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
        probe = self._shard.folder / merging.BUILD / "probe"
        try:
            files.write_durably(probe, bytes(64 << 10))
        except OSError:
            return
        finally:
            probe.unlink(missing_ok=True)
        self._shard.limits.note_written()
