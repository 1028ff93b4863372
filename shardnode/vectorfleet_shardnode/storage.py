"""A shard's folder: opened in one order, so that each step may trust the ones before it.

```
lock           held by the process that serves the folder
identity.json  whose data this is; written last when a folder is set up
replica.json   what this replica has promised to others; missing where there never were any
log/           the write-ahead log
manifest.json  the sealed segments, and the seq that they cover
write-ids-*    ids of recent writes that came with segments from another replica
segments/      one folder for each
build/         work in progress; emptied at every start
checkpoints/   what others copy; gone at every start
incoming/      what is copied from another replica; kept through restarts
kept/          segments of a disk that was given up, as long as the new one holds nothing
install.json   it takes the place of log, manifest and segments now
rebuild.json   all of this is given up now
```
"""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from . import errors, failpoints, files, identity, loading, outset, rebuilding, replica_state, shard
from .api import config
from .copies import checkpoints, incoming, reusing
from .engines import registry
from .limits import guard, meter
from .log import high_water, log_files, log_index, recovery
from .segments import builder_process, manifest
from .settings import Tuning
from .upkeep import maintenance, merging


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a shard is served.

    Attributes:
        measured: the memory limit, and what is in use.
        alone: whether there are no other replicas and nobody who says who orders writes: the shard does it by
            itself, and what is durable is committed. Else it serves what it knows to be committed, and waits.
    """

    measured: meter.Meter = meter.UNLIMITED
    alone: bool = True


@dataclasses.dataclass(frozen=True)
class OpenShard:
    """A shard that is being served, with what keeps its segments in shape, and what it has promised."""

    shard: shard.Shard
    maintenance: maintenance.Maintenance
    replica: replica_state.Replica
    lock: int

    def close(self) -> None:
        """Stop building, make durable what was written, and give the folder back."""
        self.maintenance.stop()
        self.shard.close()
        os.close(self.lock)


def open_shard(
    index: config.IndexConfig,
    number: int,
    folder: Path,
    tuning: Tuning,
    start_builder: merging.StartBuilder = builder_process.start,
    place: Place = Place(),
) -> OpenShard:
    """Open the folder of shard `number`, or set it up where it is new; maintenance is not started yet.

    Raises:
        WrongIdentityError: it holds another index's rows, or vectors of other dimensions or metric.
        DataLossError: its files are damaged; nothing was changed.
        NotHereError: another process serves it, the engine can't run here, or it is one of several replicas
            and was to be served alone.
        TooLargeError: it does not fit into memory, even without graphs; nothing was changed.
        OSError: the disk is full or failing.
    """
    if refusal := registry.refusal(index.serving.engine):
        raise errors.NotHereError(refusal)
    folder.mkdir(parents=True, exist_ok=True)
    held = identity.lock(folder)
    with _closed_on_error(held):
        owned = _set_up(folder, identity.of(index, number))
        if rebuilding.is_decided(folder):
            owned = rebuilding.finish(folder, owned)
        replica = replica_state.Replica(folder, owned.uid)
        if incoming.is_installing(folder):
            replica.end_cut()
            incoming.finish_install(folder, folder / shard.LOG, owned.owner)
        _check_alone(replica, place)
        stored = manifest.read(folder, owned.uid)
        _finish_cut(folder, replica, stored)
        source = loading.Source(folder, stored, index, owned.owner, place.alone)
        start = loading.load(source, tuning, place.measured)
        _check_promise(replica, start.found.index.last)
        failpoints.reached("start.before-clean")
        _clean(folder, stored)
        if start.found.index.last.seq:
            reusing.drop(folder)
        failpoints.reached("start.cleaned")
        limits = guard.Guard(folder, tuning, place.measured, start.restricted)
        begun = outset.Start(start.state, start.found, replica, place.alone)
        opened = shard.Shard(folder, tuning, begun, limits)
        keeper = maintenance.Maintenance(opened, index.serving, stored, start_builder)
        return OpenShard(opened, keeper, replica, held)


def _check_alone(replica: replica_state.Replica, place: Place) -> None:
    configuration = replica.configuration
    if place.alone and configuration is not None and len(configuration.members) > 1:
        names = ", ".join(member.name for member in configuration.members)
        raise errors.NotHereError(
            f"the data is of one of {len(configuration.members)} replicas ({names}); "
            "served alone it would go its own way"
        )


def _finish_cut(folder: Path, replica: replica_state.Replica, stored: manifest.Manifest) -> None:
    """Go on with a cut of the log that was begun."""
    seq = replica.state.cut_after
    if seq is None:
        return
    if seq < stored.durable_seq:
        raise errors.DataLossError(
            f"the log was to be cut after seq {seq}, but segments reach to {stored.durable_seq}"
        )
    log_files.cut_after(folder / shard.LOG, seq, stored.durable_seq)
    replica.end_cut()


def _check_promise(replica: replica_state.Replica, last: log_index.Position) -> None:
    """Refuse where the log knows of primaries that were never promised anything."""
    if last.epoch > max(replica.promised, 1):
        raise errors.DataLossError(
            f"the log holds records of epoch {last.epoch}, but {replica_state.FILE_NAME} is gone or older: "
            "what this replica has promised is unknown"
        )


@contextlib.contextmanager
def _closed_on_error(descriptor: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.close(descriptor)
        raise


def _set_up(folder: Path, wanted: identity.Identity) -> identity.Stored:
    if identity.exists(folder):
        return identity.check(folder, wanted)
    if (folder / manifest.FILE_NAME).exists() or any((folder / manifest.SEGMENTS).glob("*")):
        raise errors.DataLossError(
            f"{folder} holds segments but no {identity.FILE_NAME}, so whose they are is unknown"
        )
    _discard_empty_log(folder / shard.LOG)
    made = identity.fresh(wanted)
    for name in (shard.LOG, manifest.SEGMENTS, merging.BUILD):
        (folder / name).mkdir(exist_ok=True)
    log_files.create(folder / shard.LOG, 1, made.owner)
    files.fsync_path(folder)
    failpoints.reached("setup.synced")
    identity.write(folder, made)
    return made


def _discard_empty_log(folder: Path) -> None:
    """Remove what a set-up that was cut short left; a log with records is somebody's data."""
    every = log_files.paths(folder)
    for path in every:
        if path.stat().st_size > recovery.EMPTY_BYTES:
            raise errors.DataLossError(f"{path} holds records, but {identity.FILE_NAME} is gone")
    if (folder / high_water.FILE_NAME).exists():
        raise errors.DataLossError(f"{folder} has held records, but they and {identity.FILE_NAME} are gone")
    for path in every:
        path.unlink()


def _clean(folder: Path, stored: manifest.Manifest) -> None:
    """Remove leftovers; only once all that is named was found sound, so that damage is left as it is."""
    manifest.clean(folder, stored)
    for place in (folder, folder / shard.LOG):
        for leftover in place.glob(files.TEMPORARY + "*"):
            leftover.unlink()
    shutil.rmtree(folder / checkpoints.FOLDER, ignore_errors=True)
    shutil.rmtree(folder / merging.BUILD, ignore_errors=True)
    (folder / merging.BUILD).mkdir()
