"""Brings a shard into memory at its start: as much of it as the memory limit allows.

What must be read to serve at all is the segments' columns, which are mapped, and the log. Graphs come
beside it where they fit. A log is replayed into growing segments of the usual bounds, which are sealed once
the shard is served.
"""

import dataclasses
import logging
from pathlib import Path

import msgspec

from . import errors, metrics, records, shard, transitions
from . import shape as shapes
from .api import config
from .copies import write_ids_file
from .limits import attempts, estimates, memory, meter
from .log import log_files, log_index, recovery, wal
from .segments import growing, manifest, sealed
from .settings import Tuning
from .snapshot import Snapshot

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Source:
    """What is loaded: a folder, what its manifest says, the index, whose its log is, and whether alone."""

    folder: Path
    stored: manifest.Manifest
    index: config.IndexConfig
    owner: int
    alone: bool = True


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The state that manifest and log came to, what the log holds, and why graphs are not loaded, if so."""

    state: Snapshot
    found: recovery.Recovery
    restricted: str


def load(source: Source, tuning: Tuning, measured: meter.Meter) -> Loaded:
    """Load as much as the memory limit allows.

    Raises:
        TooLargeError: not even the rows without graphs fit; nothing was changed.
        DataLossError: files are damaged; nothing was changed.
    """
    bounds = memory.Bounds(measured.limit, tuning.memory_soft_share)
    with attempts.begun(source.folder, measured.limit) as attempt:
        start = memory.plan_start(bounds, _need(source, tuning, measured), attempt.died)
        if start.reason:
            _LOG.warning("memory is too small", extra={"mode": start.mode.name, "reason": start.reason})
        if start.mode is memory.Mode.NOTHING:
            raise errors.TooLargeError(start.reason)
        views = _open(source, graphs=start.mode is memory.Mode.FULL)
        return Loaded(*_replay(source, tuning, views), start.reason)


def _need(source: Source, tuning: Tuning, measured: meter.Meter) -> memory.Load:
    residents = [estimates.resident_of(listed.described) for listed in source.stored.segments]
    _, uncovered = log_files.split_covered(
        log_files.paths(source.folder / shard.LOG), source.stored.covered_seq
    )
    written = sum(path.stat().st_size for path in uncovered)
    return memory.Load(
        base=measured.used(),
        segments=sum(resident.needed - resident.graphs for resident in residents),
        graphs=sum(resident.graphs for resident in residents),
        replay=estimates.replay_of(written, shapes.of(source.index), tuning),
    )


def _open(source: Source, *, graphs: bool) -> tuple[sealed.SealedView, ...]:
    views = []
    for listed in source.stored.segments:
        home = source.folder / manifest.SEGMENTS / listed.name
        segment = sealed.SealedSegment(home, listed.described, graphs=graphs)
        live = manifest.read_live(home, listed.described.rows, listed.tombstones)
        views.append(sealed.SealedView(segment, live))
    return tuple(views)


def _replay(
    source: Source, tuning: Tuning, views: tuple[sealed.SealedView, ...]
) -> tuple[Snapshot, recovery.Recovery]:
    stored, shape = source.stored, shapes.of(source.index)
    state = Snapshot(stored.covered_seq, shape, views, (growing.empty_view(shape),), stored.covered_epoch)

    def replay(place: log_index.Position, record: records.Record) -> None:
        nonlocal state
        try:
            state = _bounded(transitions.applied(state, place, record), tuning)
        except (ValueError, msgspec.MsgspecError, RecursionError) as unfit:
            raise errors.DataLossError(f"record {place.seq} can't be applied: {unfit}") from unfit

    expected = recovery.Expected(
        stored.covered_seq,
        stored.durable_seq,
        source.owner,
        stored.covered_epoch,
        source.alone,
        0 if source.alone else wal.RECENT_BYTES,
        write_ids_file.read(source.folder, stored.write_ids),
    )
    found = recovery.recover(source.folder / shard.LOG, expected, replay)
    if found.torn_bytes:
        metrics.TORN_BYTES.inc(found.torn_bytes)
        _LOG.warning(
            "cut a torn tail off the log", extra={"bytes": found.torn_bytes, "last_seq": found.index.last_seq}
        )
    return state, found


def _bounded(state: Snapshot, tuning: Tuning) -> Snapshot:
    """Go on in a new growing segment where the last one is full."""
    return transitions.frozen(state) if transitions.is_full(state, tuning) else state
