"""How one state of a shard follows from another: by a record, by a segment that takes the place of others.

A state is never changed. What is appended to is the last growing segment, behind all views of it that exist.
"""

import dataclasses
from collections.abc import Sequence

from . import keys, log_index, records
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
