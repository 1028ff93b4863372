"""What is known of a shard's replicas, and which of them to ask. PURE: times come in.

Knowledge may be old; nothing rests on it but speed. A replica that is asked for what it can't do says so.
"""

import dataclasses
from collections.abc import Sequence

FAILED_SECONDS = 2.0
"""For how long a replica that failed is asked after the others; longer than a poll and its answer take."""
SLOW_SECONDS, SLOW_TIMES = 0.01, 3.0
"""A replica is slow whose searches take longer than this, and so many times as long as the quickest one's."""
_WEIGHT, _MOST_SECONDS, _FADING_SECONDS = 0.2, 0.5, 5.0
STALE_SECONDS = 5.0
"""A state older than this tells nothing of whether a replica keeps up."""


@dataclasses.dataclass
class Standing:
    """What is known of one replica.

    Attributes:
        address: host:port, as the configuration names it.
        epoch: of the newest configuration that it has told of.
        leads: whether it takes writes, by its own word.
        level: whether it had applied what its primary had, by its own word.
        heard_at: when it last said so; failed_at: when it last did not answer.
        busy: requests under way.
        seconds: that small searches took lately, a moving average; timed_at: when the last one ended.
    """

    address: str
    epoch: int = 0
    leads: bool = False
    level: bool = True
    heard_at: float = -STALE_SECONDS
    failed_at: float = -FAILED_SECONDS
    busy: int = 0
    seconds: float = 0.0
    timed_at: float = 0.0

    def lasting(self, now: float) -> float:
        """Return seconds that a search takes; what was seen fades, so that a slow one is tried again."""
        return float(self.seconds * 0.5 ** ((now - self.timed_at) / _FADING_SECONDS))


class Standings:
    """What is known of all replicas of a shard.

    Args:
        addresses: of the replicas.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self.replicas = [Standing(address) for address in addresses]
        self.epoch = 0
        self._primary: str = ""

    @property
    def primary(self) -> int:
        """The number of the replica that is believed to take writes; the first one where none is known."""
        known = [one.address for one in self.replicas]
        return known.index(self._primary) if self._primary in known else 0

    @property
    def knows(self) -> bool:
        """Whether somebody has said who takes writes."""
        return self._primary in [one.address for one in self.replicas]

    @property
    def has_primary(self) -> bool:
        """Whether somebody has said that it takes writes, and has failed to answer nothing since."""
        return any(one.leads and one.failed_at < one.heard_at for one in self.replicas)

    def learn(self, epoch: int, address: str) -> bool:
        """Take in that `address` leads `epoch`; returns whether that is news. Older words are ignored."""
        if epoch < self.epoch or not address or (epoch, address) == (self.epoch, self._primary):
            return False
        self.epoch, self._primary = epoch, address
        return True

    def note_state(self, number: int, told: Standing) -> bool:
        """Take in a replica's own word; returns whether another one is the primary now."""
        mine = self.replicas[number]
        mine.epoch, mine.leads, mine.level, mine.heard_at = told.epoch, told.leads, told.level, told.heard_at
        return told.leads and self.learn(told.epoch, mine.address)

    def note_failure(self, number: int, now: float) -> None:
        """Take in that a replica did not answer."""
        self.replicas[number].failed_at = now

    def note_seconds(self, number: int, seconds: float, now: float) -> None:
        """Take in how long a small search took; one alone counts little, however long."""
        one = self.replicas[number]
        one.seconds, one.timed_at = one.lasting(now), now
        one.seconds += _WEIGHT * (min(seconds, _MOST_SECONDS) - one.seconds)

    def note_given_up(self, number: int, seconds: float, now: float) -> None:
        """Take in that a small search was not waited for after so many seconds: it takes longer."""
        one = self.replicas[number]
        if seconds > one.lasting(now):
            one.seconds, one.timed_at = min(seconds, _MOST_SECONDS), now

    def readers(self, now: float) -> list[int]:
        """Return every replica in the order to ask: well, level with its primary, not slow, least busy."""
        bound = self._bound(now)

        def worth(number: int) -> tuple[bool, bool, bool, int]:
            one = self.replicas[number]
            failed = now - one.failed_at < FAILED_SECONDS
            slow = one.seconds > bound and one.lasting(now) > bound
            return failed, not one.level, slow, one.busy

        return sorted(range(len(self.replicas)), key=worth)

    def _bound(self, now: float) -> float:
        """Return the seconds beyond which a replica is slow."""
        quickest = min(one.seconds for one in self.replicas)
        if SLOW_TIMES * quickest <= SLOW_SECONDS:
            return SLOW_SECONDS
        return max(SLOW_SECONDS, SLOW_TIMES * min(one.lasting(now) for one in self.replicas))
