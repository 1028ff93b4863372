"""How long to rest between changes: failed attempts and quick successions of promotions are spaced out."""

import dataclasses

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0
_RECENT_SECONDS = 60.0
_MANY = 3
"""Unplanned changes in a minute from which on a storm is suspected."""


@dataclasses.dataclass(frozen=True)
class Trials:
    """What was tried for one shard; times in seconds of one clock."""

    failures: int = 0
    """Attempts that failed in a row."""
    last: float = float("-inf")
    promotions: tuple[float, ...] = ()
    """When shards changed their primary unplanned, lately."""

    def after(self, now: float, *, success: bool, planned: bool) -> "Trials":
        """Return the same after another attempt."""
        recent = tuple(then for then in self.promotions if now - then < _RECENT_SECONDS)
        if success and not planned:
            recent = (*recent, now)
        return Trials(0 if success else self.failures + 1, now, recent)

    def rest(self, now: float) -> float:
        """Return the seconds for which nothing more should be tried."""
        pause = _FIRST_SECONDS * 2 ** (self.failures - 1) if self.failures else 0.0
        recent = sum(now - then < _RECENT_SECONDS for then in self.promotions)
        if recent >= _MANY:
            pause = max(pause, 2.0 ** (recent - _MANY + 1))
        return max(0.0, min(pause, _LONGEST_SECONDS) - (now - self.last))
