"""A secondary: the state of a shard that another process serves, from the same files, for reading alone.

It begins with what the manifest says, and applies the primary's records as they become visible, before each
read that has to see them. Where the primary seals or merges segments, they stand for the same rows here
(`transitions.adopted`), opened from the same files. Nothing is written, nothing is sent, and the primary
does not know how many there are.

Rule: a state is shown only where its seq has reached what the primary shows. So what is in between, such as
a manifest whose tombstones know of later writes than its segments, is nobody's answer.
"""

import dataclasses
import threading
from collections.abc import Collection
from pathlib import Path

from .. import catching_up, errors, identity, shard, shown, transitions
from .. import shape as shapes
from ..api import config
from ..limits import meter
from ..log import reading
from ..segments import growing, manifest, sealed
from ..settings import Tuning
from ..snapshot import Snapshot
from . import opening

_PIECE = 8 << 20  # bytes of records that are read from the log at a time


@dataclasses.dataclass(frozen=True)
class Source:
    """What is followed: shard `number` of an index, in a folder, under its primary's bounds.

    `measured` is the memory of all its processes.
    """

    index: config.IndexConfig
    number: int
    folder: Path
    tuning: Tuning
    measured: meter.Meter = meter.UNLIMITED


class Secondary:
    """The state, brought on by whoever asks for it. May be used from several threads.

    Args:
        source: what is followed.
        seen: up to where its primary lets readers see.

    Raises:
        WrongIdentityError: the folder holds something else.
        DataLossError: its files are damaged.
    """

    def __init__(self, source: Source, seen: shown.Seen) -> None:
        owned = identity.check(source.folder, identity.of(source.index, source.number))
        self.shape = shapes.of(source.index)
        self._seen = seen
        self._tuning = source.tuning
        self._stored = opening.Stored(source.folder, owned.uid, opening.room(source.tuning, source.measured))
        self._log = reading.StoredRecords(source.folder / shard.LOG, owned.owner)
        self._changing = threading.Lock()  # held by whoever brings the state on
        self._stamp: opening.Stamp | None = None  # of the manifest that was looked at
        self._useless: set[str] = set()  # segments of which no row lives here
        self._state = self._begun({})
        self.catch_up()

    @property
    def seq(self) -> int:
        """Up to where its primary lets readers see."""
        return self._seen.seq

    def level(self) -> Snapshot | None:
        """Return the state if it holds all that readers may see; None where it has to `catch_up`."""
        state = self._state
        return state if state.seq >= self._seen.seq else None

    # ------------------------------------------------------------------------------------ records

    def catch_up(self) -> Snapshot:
        """Apply what has become visible, and return the state; blocks.

        Raises:
            UnavailableError: the log does not go on where this state ends.
            LogFailedError: a record can't be applied.
        """
        with self._changing:
            wanted = self._seen.seq
            while (at := self._state.seq) < wanted:
                try:
                    self._apply(wanted)
                except errors.CutAwayError as gone:
                    self._state = self._begun(_by_name(self._state))
                    if self._state.seq <= at:
                        raise errors.UnavailableError(f"can't follow the shard's log: {gone}") from gone
            return self._state

    def _apply(self, wanted: int) -> None:
        try:
            while self._state.seq < wanted:
                for entry in self._log.read(self._state.seq + 1, wanted, _PIECE):
                    if transitions.is_full(self._state, self._tuning):
                        self._state = transitions.frozen(self._state)
                    self._state = catching_up.after(self._state, entry)
        except errors.LogFailedError:
            self._state = transitions.fresh(self._state)  # some of the record's rows may stand behind it
            raise

    def _begun(self, known: dict[str, sealed.SealedSegment]) -> Snapshot:
        """Return the state of the manifest that is in force."""
        stored, views = self._stored.views(known)
        nothing = (growing.empty_view(self.shape),)
        return Snapshot(stored.covered_seq, self.shape, views, nothing, stored.covered_epoch)

    # ----------------------------------------------------------------------------------- segments

    def look(self) -> None:
        """Let segments that the primary has made since stand for their rows here; blocks.

        For one thread. Segments are opened beside reads; what changes the state waits for them.

        Raises:
            DataLossError: files are damaged.
            ShardError: as `catch_up`.
        """
        self._state.keep_sketch()
        stamp = self._stored.stamp()
        if stamp == self._stamp:
            return
        listed = {one.name: one for one in self._stored.read().segments}
        self.catch_up()  # what is sealed is visible
        try:
            for name in listed.keys() - _by_name(self._state) - self._useless:
                self._adopt(listed[name], stamp)
        except opening.ReplacedError:
            return  # the next look has a newer one
        with self._changing:
            self._state = _without_the_empty(self._state, listed.keys())
        self._useless &= listed.keys()
        self._stamp = stamp

    def _adopt(self, listed: manifest.Listed, stamp: opening.Stamp) -> None:
        added = opening.all_of(self._stored.open(listed, stamp))
        with self._changing:
            after = transitions.adopted(self._state, added)
            if after is self._state:
                self._useless.add(listed.name)
            self._state = after


def _by_name(state: Snapshot) -> dict[str, sealed.SealedSegment]:
    return {view.segment.name: view.segment for view in state.sealed}


def _without_the_empty(state: Snapshot, listed: Collection[str]) -> Snapshot:
    """Return the state without parts that have no rows any more and that no manifest names."""
    kept = tuple(view for view in state.sealed if view.live_rows or view.segment.name in listed)
    *ended, last = state.growing
    if len(last.live) and not last.live_rows:
        last = growing.empty_view(state.shape)
    left = (*(view for view in ended if view.live_rows), last)
    return dataclasses.replace(state, sealed=kept, growing=left)
