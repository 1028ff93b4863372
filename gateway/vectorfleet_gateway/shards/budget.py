"""When to ask a second replica, and how often: hedged requests within a budget.

The delay is a high percentile of what answers took lately, so few requests are asked twice; the budget bounds
how many, so that a shard that is slow everywhere is not asked twice as much by everyone (Dean and Barroso,
The Tail at Scale, 2013).
"""

import collections

SHARE = 0.05
"""Of all reads, how many may be asked of a second replica."""
LEAST_DELAY, FIRST_DELAY = 0.01, 0.1
_PERCENTILE = 0.95
_KEPT = 200
_LARGEST = 10.0


class Budget:
    """What one shard's reads may spend."""

    def __init__(self) -> None:
        self._left = _LARGEST
        self._seconds: collections.deque[float] = collections.deque(maxlen=_KEPT)
        self._delay = FIRST_DELAY
        self._noted = 0

    @property
    def delay(self) -> float:
        """Seconds to wait for an answer before another replica is asked."""
        return self._delay

    def earn(self) -> None:
        """Take note of a read."""
        self._left = min(self._left + SHARE, _LARGEST)

    def spend(self) -> bool:
        """Take a second request out of the budget; returns False where it is used up."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def note(self, seconds: float) -> None:
        """Take note of how long an answer took."""
        self._seconds.append(seconds)
        self._noted += 1
        if self._noted % 20 == 0:
            ordered = sorted(self._seconds)
            self._delay = max(LEAST_DELAY, 2 * ordered[int(_PERCENTILE * len(ordered))])
