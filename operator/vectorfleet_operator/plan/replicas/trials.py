"""How long to rest: failed attempts, storms of promotions and vain restarts are spaced out."""

import dataclasses

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0
_RECENT_SECONDS = 60.0
_MANY = 3
"""Unplanned changes in a minute from which on a storm is suspected."""
_RESTART_SECONDS = 10.0
_LONGEST_RESTART_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Restarts:
    """How often one replica was restarted since it could not go on; times in seconds of one clock."""

    count: int = 0
    last: float = float("-inf")

    def after(self, now: float) -> "Restarts":
        """Return the same after one more; one that went on for long enough before begins anew."""
        helped = now - self.last > 2 * _LONGEST_RESTART_SECONDS
        return Restarts(1 if helped else self.count + 1, now)

    def rest(self, now: float) -> float:
        """Return the seconds for which it is not restarted: 10 after the first time, then twice that."""
        if not self.count:
            return 0.0
        pause = min(_RESTART_SECONDS * 2.0 ** (self.count - 1), _LONGEST_RESTART_SECONDS)
        return max(0.0, pause - (now - self.last))


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
