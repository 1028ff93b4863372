"""When a failed request is sent again, and after how long: exponential backoff with full jitter. Pure.

A request is repeated where a later try may fare better, at most `times` times, and never so that a wait would
end after the budget. Clock and chance are given from outside.
"""

import dataclasses
import math
from collections.abc import Callable

from . import errors


@dataclasses.dataclass(frozen=True)
class Retries:
    """How stubborn a client is.

    Attributes:
        times: how often a request is sent again; 0 switches retries off.
        first_delay: seconds, upper bound of the first wait; each later bound is twice the one before.
        max_delay: seconds, upper bound of any wait that the server did not ask for.
        budget: seconds that one call may take in all: none begins later, each is cut to what is left.
    """

    times: int = 4
    first_delay: float = 0.1
    max_delay: float = 8.0
    budget: float = 60.0

    def __post_init__(self) -> None:
        if self.times < 0 or min(self.first_delay, self.max_delay, self.budget) <= 0:
            raise errors.InvalidInputError(f"times is at least 0, delays and budget above 0; got {self}")


@dataclasses.dataclass(frozen=True)
class Pace:
    """What a client gives to each of its calls.

    Attributes:
        retries: how stubborn to be; a number alone sets the times.
        timeout: seconds that one attempt may take.
        clock: seconds, never going back.
        chance: a random number from 0 to 1.
    """

    retries: Retries | int | None
    timeout: float
    clock: Callable[[], float]
    chance: Callable[[], float]

    def __post_init__(self) -> None:
        if not 0 < self.timeout < math.inf:
            raise errors.InvalidInputError(f"timeout is a number of seconds above 0, not {self.timeout}")
        self.policy  # noqa: B018  # refuses what is no policy

    @property
    def policy(self) -> Retries:
        """The retries as a policy."""
        match self.retries:
            case None:
                return Retries()
            case int(times):
                return Retries(times=times)
            case policy:
                return policy


class Course:
    """The attempts of one call, from the first until it succeeds or is given up."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._policy = pace.policy
        self._end = pace.clock() + self._policy.budget
        self._attempt_end = 0.0
        self._repeated = 0

    def begin(self) -> float:
        """Begin an attempt; return the seconds it may take."""
        now = self._pace.clock()
        allowed = max(min(self._pace.timeout, self._end - now), 0.001)
        self._attempt_end = now + allowed
        return allowed

    def check(self) -> None:
        """Hold an answer that comes in drips to the attempt's time.

        Raises:
            RequestTimeoutError: the time is over.
        """
        if self._pace.clock() > self._attempt_end:
            raise errors.RequestTimeoutError("the answer was not whole in time", sent=True)

    def delay_after(self, error: errors.VectorfleetError) -> float | None:
        """Return the seconds to wait before the next attempt, or None where this error is the end."""
        if self._repeated >= self._policy.times or not may_repeat(error):
            return None
        delay = self._pace.chance() * min(
            self._policy.max_delay, self._policy.first_delay * 2.0 ** min(self._repeated, 60)
        )
        # Where the server names a time, chance comes on top, so that not everyone returns at once.
        delay += getattr(error, "retry_after", None) or 0.0
        if self._pace.clock() + delay >= self._end:
            return None
        self._repeated += 1
        return delay


def may_repeat(error: errors.VectorfleetError) -> bool:
    """Tell whether a request that failed so may be sent again: where a later try may fare better."""
    return isinstance(error, errors.RateLimitError | errors.UnavailableError | errors.ConnectionFailedError)
