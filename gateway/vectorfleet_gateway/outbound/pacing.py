"""When a request to a service may be sent, and sent again. Pure: the time is given."""

FIRST_SECONDS = 0.1
MAX_SECONDS = 5.0


class Pace:
    """Evenly spaced turns, so many a second; any number where there is no rate."""

    def __init__(self, rate: float | None) -> None:
        self._gap = 0.0 if rate is None else 1.0 / rate
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next free turn."""
        return max(0.0, self._next - now)

    def take(self, now: float) -> float:
        """Take the next free turn and return the seconds until it."""
        turn = max(now, self._next)
        self._next = turn + self._gap
        return turn - now


def delay_after(failures: int, asked: float | None, chance: float) -> float:
    """Return the seconds to wait after some failures: doubling, with jitter, and at least as asked.

    Args:
        failures: how many there were, from 1.
        asked: seconds that the service asked to wait.
        chance: a random number from 0 to 1.
    """
    bound = min(MAX_SECONDS, FIRST_SECONDS * 2.0 ** (failures - 1))
    return max(asked or 0.0, bound * (0.5 + chance / 2))
