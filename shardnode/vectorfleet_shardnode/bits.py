"""Sets of rows as bitmaps: bit i % 64 of word i // 64 stands for row i. Pure.

Rule: bits behind the last row are 0, so that counting and negation need no care elsewhere.
"""

import numpy as np

from .arrays import Bits, Mask, RowNumbers

_FEW = 512  # rows that are cheaper to set one by one than through a boolean for each row


def none(size: int) -> Bits:
    """Return the empty set of `size` rows."""
    return np.zeros((size + 63) // 64, np.uint64)


def every(size: int) -> Bits:
    """Return the set of all rows."""
    return inverted(none(size), size)


def inverted(chosen: Bits, size: int) -> Bits:
    """Return the rows that are not in the set."""
    others = ~chosen
    if size % 64:
        others[-1] &= np.uint64((1 << size % 64) - 1)
    return others


def of_mask(mask: Mask) -> Bits:
    """Return the rows whose boolean is true."""
    packed = np.packbits(mask, bitorder="little")
    return np.concatenate([packed, np.zeros(-len(packed) % 8, np.uint8)]).view(np.uint64)


def of_rows(rows: np.ndarray, size: int) -> Bits:
    """Return these rows, in any order and repeated or not."""
    if len(rows) <= _FEW:
        chosen = none(size)
        one = np.left_shift(np.uint64(1), (rows & 63).astype(np.uint64))
        np.bitwise_or.at(chosen, rows >> 6, one)
        return chosen
    mask = np.zeros(size, np.bool_)
    mask[rows.astype(np.intp)] = True  # numpy scatters by its own type in two thirds of the time
    return of_mask(mask)


def to_mask(chosen: Bits, size: int) -> Mask:
    """Return one boolean for each row."""
    return np.unpackbits(chosen.view(np.uint8), count=size, bitorder="little").view(np.bool_)


def to_rows(chosen: Bits) -> RowNumbers:
    """Return the rows in ascending order; costs little where they are few."""
    filled = np.flatnonzero(chosen)
    if 2 * len(filled) > len(chosen):
        return np.flatnonzero(to_mask(chosen, 64 * len(chosen)))
    inside = np.flatnonzero(to_mask(chosen[filled], 64 * len(filled)))
    rows: RowNumbers = filled[inside >> 6] * 64 + (inside & 63)
    return rows


def count(chosen: Bits) -> int:
    """Return how many rows are in the set."""
    return int(np.bitwise_count(chosen).sum(dtype=np.int64))


def within(chosen: Bits, rows: range) -> Bits:
    """Return those of a range of rows; those outside are left out."""
    first, last = rows.start >> 6, (rows.stop + 63) >> 6
    if not rows:
        return np.zeros_like(chosen)
    kept = np.zeros_like(chosen)
    kept[first:last] = chosen[first:last]
    kept[first] &= np.uint64(~((1 << rows.start % 64) - 1) & (1 << 64) - 1)
    if rows.stop % 64:
        kept[last - 1] &= np.uint64((1 << rows.stop % 64) - 1)
    return kept
