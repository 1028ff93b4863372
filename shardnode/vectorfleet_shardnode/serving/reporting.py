"""What the operator and the metrics are told of a shard: rows, segments, memory, disk, and what ails it."""

import functools
import importlib.metadata
import os
from pathlib import Path

from .. import files, fitness, keys, storage
from ..api import config, reserved, shard_pb2
from ..limits import guard
from ..snapshot import Snapshot
from . import replying


class Reporter:
    """Reports on one shard.

    Args:
        opened: the shard, and what maintains it.
        index: of which it is one.
        number: of the shard.
    """

    def __init__(self, opened: storage.OpenShard, index: config.IndexConfig, number: int) -> None:
        self._opened = opened
        self._shard = opened.shard
        self._index = index
        self._number = number

    def report(self) -> shard_pb2.ReportReply:
        """Return what the shard knows of itself; blocks. What it is among replicas is left out."""
        state, folder = self._shard.snapshot, self._shard.folder
        return shard_pb2.ReportReply(
            index=self._index.index,
            generation=self._index.serving.name,
            shard=self._number,
            position=replying.position(self._number, state),
            rows=_users_rows(state),
            unindexed_rows=self._opened.maintenance.waiting_rows(),
            dead_rows=sum(view.dead_rows for view in state.sealed),
            segments=len(state.sealed),
            memory_limit_bytes=self._shard.limits.bounds.limit,
            memory_used_bytes=self._shard.limits.used(),
            memory_bytes=resident_bytes(),
            disk_bytes=files.bytes_under(folder),
            disk_free_bytes=guard.volume_of(folder).free,
            building=self._opened.maintenance.building,
            version=program_version(),
            problem=self._shard.refusal or self._opened.maintenance.problem,
            conditions=[
                *self._shard.limits.conditions(),
                *fitness.conditions(self._index.serving, [view.segment.descriptor for view in state.sealed]),
            ],
        )

    def measured(self) -> tuple[shard_pb2.ReportReply, dict[str, int]]:
        """Return the report, and rows by namespace."""
        return self.report(), self._shard.snapshot.count(None)


def _users_rows(state: Snapshot) -> int:
    own = state.locate(keys.keys_of(reserved.NAMESPACE, reserved.PROBES))
    return state.live_rows - int((own.parts >= 0).sum())


def resident_bytes() -> int:
    """Return the process's resident memory, mapped files included."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@functools.cache
def program_version() -> str:
    """Return the version of this program."""
    return importlib.metadata.version("vectorfleet")
