"""How one state of a shard follows from another: by a record, by a segment that takes the place of others.

A state is never changed. What is appended to is the last growing segment, behind all views of it that exist.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from . import keys, records
from .arrays import Mask, RowNumbers
from .log import log_index
from .segments import growing, part, sealed
from .settings import Tuning
from .snapshot import Snapshot

Known = dict[tuple[int, ...], sealed.SealedView | None]
"""What an added segment came to beside others, by the identities of their masks."""


def applied(before: Snapshot, place: log_index.Position, record: records.Record) -> Snapshot:
    """Return the state after a record; a Put is appended to the growing segment of the newest state."""
    epoch, seq = place
    match record:
        case records.Start():
            return dataclasses.replace(before, seq=seq, epoch=epoch)
        case records.Clear(namespace):
            return dataclasses.replace(before.without_namespace(namespace), seq=seq, epoch=epoch)
        case records.Remove(namespace, ids):
            return dataclasses.replace(before.without(keys.keys_of(namespace, ids)), seq=seq, epoch=epoch)
        case records.Put(namespace, rows):
            sought = keys.keys_of(namespace, rows.ids)
            after = before.without(sought)
            last = after.growing[-1]
            last.segment.append(sought, rows, seq)
            grown = (*after.growing[:-1], last.extended())
            return dataclasses.replace(after, seq=seq, epoch=epoch, growing=grown)


def is_full(state: Snapshot, tuning: Tuning) -> bool:
    """Tell whether the segment that grows has reached its bounds."""
    last = state.growing[-1].segment
    return last.rows >= tuning.growing_rows or last.bytes >= tuning.growing_bytes


def frozen(state: Snapshot) -> Snapshot:
    """Return the state whose growing segment is ended as it is there, and followed by a new one.

    Rows that were appended behind the view, by writes that never came to be, stay behind it: nobody finds
    them, and they are not flushed.
    """
    last, fresh = state.growing[-1], growing.empty_view(state.shape)
    last.segment.frozen_at = state.seq
    return dataclasses.replace(state, growing=(*state.growing, fresh))


def fresh(state: Snapshot) -> Snapshot:
    """Return the state to whose growing segment nothing was appended that the state does not have."""
    last = state.growing[-1]
    if len(last.live) == last.segment.rows and last.segment.frozen_at is None:
        return state
    if len(last.live):
        return frozen(state)
    return dataclasses.replace(state, growing=(*state.growing[:-1], growing.empty_view(state.shape)))


def replaced(
    state: Snapshot,
    before: Sequence[part.Part],
    added: sealed.SealedView | None,
    known: Known | None = None,
) -> Snapshot:
    """Return the state in which one segment stands for the parts it was made of, as they were before.

    Args:
        state: any state that has these parts.
        before: the parts, as they were.
        added: the segment; None where nothing is left.
        known: what it came to in other states; those with the same rows then share its mask.
    """
    now = [next(view for view in state.parts if view.segment is old.segment) for old in before]
    masks = tuple(id(view.live) for view in now)
    known = {} if known is None else known
    if masks not in known:
        known[masks] = _less_the_dead(before, now, added) if added else None
    stands = known[masks]
    gone = {id(view.segment) for view in before}
    kept = tuple(view for view in state.sealed if id(view.segment) not in gone)
    left = tuple(view for view in state.growing if id(view.segment) not in gone)
    return dataclasses.replace(state, sealed=(*kept, *((stands,) if stands else ())), growing=left)


def _less_the_dead(
    before: Sequence[part.Part], now: Sequence[part.Part], added: sealed.SealedView
) -> sealed.SealedView:
    """Return the added segment without the rows that died meanwhile."""
    for old, new in zip(before, now, strict=True):
        for died in old.keys_of((old.live & ~new.live).nonzero()[0]):
            found = added.find(died)
            added = added.without(found[found >= 0])
    return added


def adopted(state: Snapshot, added: sealed.SealedView) -> Snapshot:
    """Return the state in which the rows of a segment that was made elsewhere stand for the same ones here.

    A row is the same where the write and the id are: then it lives in the added segment, and no more where it
    lived. Rows of the added segment that do not live here are dead in it; segments that it leaves empty go.

    Args:
        state: any state.
        added: the segment's view, of all of its rows.
    """
    live = np.zeros(len(added.live), np.bool_)
    left: list[part.Part] = []
    for view in state.parts:
        ours, theirs = _same_rows(view, added)
        live[theirs] = True
        left.append(view.without(ours))
    if not live.any():
        return state
    old = left[: len(state.sealed)]
    kept = [
        now for before, now in zip(state.sealed, old, strict=True) if now.live_rows or not before.live_rows
    ]
    stands = sealed.SealedView(added.segment, live)
    return dataclasses.replace(
        state,
        sealed=(*(view for view in kept if isinstance(view, sealed.SealedView)), stands),
        growing=tuple(view for view in left if isinstance(view, growing.GrowingView)),
    )


def _same_rows(view: part.Part, added: sealed.SealedView) -> tuple[RowNumbers, RowNumbers]:
    """Return the rows of a part that the added segment has too, and beside each its row there."""
    rows, hashes, seqs = view.versions()
    their_rows, their_hashes, their_seqs = added.versions()
    found = np.full(len(rows), -1, np.int64)
    at = np.searchsorted(their_hashes, hashes)
    _, runs = np.unique(their_hashes, return_counts=True)
    for step in range(int(runs.max(initial=0))):  # more than once only where hashes of keys are equal
        place = np.minimum(at + step, len(their_rows) - 1)
        same = (found < 0) & (their_hashes[place] == hashes) & (their_seqs[place] == seqs)
        candidates = np.flatnonzero(same)
        theirs = their_rows[place[candidates]]
        equal = _equal_ids(view, rows[candidates], added, theirs)
        found[candidates[equal]] = theirs[equal]
    hits = found >= 0
    return rows[hits], found[hits]


def _equal_ids(view: part.Part, rows: RowNumbers, added: part.Part, theirs: RowNumbers) -> Mask:
    """Tell which pairs of rows have the same id; a write has each id once, and one namespace."""
    names = part.Fields(values=False, metadata=False)
    pairs = zip(view.take(rows, names).ids, added.take(theirs, names).ids, strict=True)
    return np.fromiter((ours == other for ours, other in pairs), np.bool_, len(rows))
