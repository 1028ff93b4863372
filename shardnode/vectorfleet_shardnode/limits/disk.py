"""Decides by disk: how much of a volume is kept back, and whether a write or a merge still fits. Pure.

Kept back is what a merge of all segments would take, yet no more than a share of the volume, and never less
than `reserved_bytes`: so a small index on a volume that others have filled goes on, and a large one can
always be tidied.
"""

import dataclasses

from . import memory

RELEASE = 1.5
"""Room that must be free before writes are taken again, as a multiple of what is kept back."""
RETAINED_SHARE = 0.05
"""Of the volume, how much may be log that segments cover."""


@dataclasses.dataclass(frozen=True)
class Volume:
    """A volume's size and what is free of it, in bytes."""

    size: int
    free: int


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What is kept back at least, and the share of the volume above which writes that grow may be refused."""

    reserved_bytes: int
    soft_share: float = 0.9

    def kept_back(self, volume: Volume, stored: int) -> int:
        """Return how much stays free; `stored`: bytes of all segments."""
        return max(self.reserved_bytes, min(round(volume.size * (1 - self.soft_share)), stored))


def refusal_of_write(bounds: Bounds, volume: Volume, stored: int, *, pressed: bool) -> str:
    """Return why a write that grows is refused; empty where it is taken.

    Args:
        bounds: the limits.
        volume: as it is.
        stored: bytes of all segments.
        pressed: whether writes were refused before, so that more room is asked for.
    """
    kept = bounds.kept_back(volume, stored)
    if volume.free >= (kept * RELEASE if pressed else kept):
        return ""
    return (
        f"the volume has {memory.mib(volume.free)} of {memory.mib(volume.size)} free, {memory.mib(kept)} "
        f"are kept back; upserts and updates are refused until {memory.mib(int(kept * RELEASE))} are free; "
        "delete rows or enlarge spec.storage.size"
    )


def retained_log(bounds: Bounds, volume: Volume, stored: int, kept: int, wanted: int) -> int:
    """Return how many bytes of log may be kept that segments cover.

    Args:
        bounds: the limits.
        volume: as it is.
        stored: bytes of all segments.
        kept: bytes of such log there are now.
        wanted: how many are wanted at most.
    """
    spare = volume.free + kept - int(bounds.kept_back(volume, stored) * RELEASE)
    return max(0, min(wanted, round(volume.size * RETAINED_SHARE), spare))


def refusal_of_copy(bounds: Bounds, volume: Volume, needed: int) -> str:
    """Return why a copy of another replica's segments has to wait of which `needed` bytes are to come."""
    if _leaves_room(bounds, volume, needed):
        return ""
    return (
        f"{memory.mib(needed)} of the primary's segments are to be copied beside what is here, and "
        f"{memory.mib(volume.free)} of the volume are free; enlarge spec.storage.size"
    )


def refusal_of_merge(bounds: Bounds, volume: Volume, needed: int) -> str:
    """Return why a merge that writes `needed` bytes has to wait; empty where it fits."""
    if _leaves_room(bounds, volume, needed):
        return ""
    return (
        f"a merge of segments writes {memory.mib(needed)}, and {memory.mib(volume.free)} of the volume are "
        "free; it "
        "waits; delete rows or enlarge spec.storage.size"
    )


def _leaves_room(bounds: Bounds, volume: Volume, needed: int) -> bool:
    return volume.free - needed >= bounds.reserved_bytes // 2
