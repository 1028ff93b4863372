"""How much each key may ask: requests and rows a second, requests a day. Pure: the time is given.

A bucket fills at its rate up to its burst; what is taken may leave it in debt, and nothing is granted until
that is paid back. Each process counts for itself, and begins anew when it starts.

Rates go by a `steady` clock, which nobody sets, in seconds from any moment; days by the wall clock, in
seconds since 1970.
"""

from dataclasses import dataclass

from . import grants

DAY = 86_400


class SpentError(Exception):
    """A key has had what it may.

    Args:
        message: what that is.
        seconds: after which to come again.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(slots=True)
class Bucket:
    """A rate with a burst.

    Attributes:
        rate: a second.
        burst: the most that is saved up.
        level: what is saved up; below 0 what is owed.
        at: when that was so, by the steady clock.
    """

    rate: float
    burst: float
    level: float
    at: float

    def wait(self, steady: float) -> float:
        """Return the seconds until something is granted again, 0 where it is now."""
        self.level = min(self.burst, self.level + (steady - self.at) * self.rate)
        self.at = steady
        return max(0.0, (1 - self.level) / self.rate) if self.level < 1 else 0.0

    def take(self, amount: float) -> None:
        """Take what was granted."""
        self.level -= amount


class Meter:
    """What one key has asked.

    Args:
        quota: what it may.
        steady: the time.
    """

    def __init__(self, quota: grants.Quota, steady: float) -> None:
        self.quota = quota
        self._requests = _bucket(quota.requests_per_second, quota.burst, steady)
        self._rows = _bucket(quota.rows_per_second, None, steady)
        self._day, self._asked = 0.0, 0

    def admit(self, steady: float, wall: float) -> None:
        """Count a request, at a time by both clocks.

        Raises:
            SpentError: the key has had what it may.
        """
        if wall // DAY != self._day:
            self._day, self._asked = wall // DAY, 0
        most = self.quota.requests_per_day
        if most is not None and self._asked >= most:
            left = DAY - wall % DAY
            raise SpentError(f"this key may send {most} requests a day (UTC), and has", left)
        if self._requests is not None:
            if wait := self._requests.wait(steady):
                rate = f"{self.quota.requests_per_second:g}"
                raise SpentError(f"this key may send {rate} requests a second", wait)
            self._requests.take(1)
        self._asked += 1

    def charge(self, rows: int, steady: float) -> None:
        """Count the rows that a request writes.

        Raises:
            SpentError: the key has written what it may.
        """
        if self._rows is None:
            return
        if wait := self._rows.wait(steady):
            raise SpentError(f"this key may write {self.quota.rows_per_second:g} rows a second", wait)
        self._rows.take(rows)


class Meters:
    """What every key has asked, by its name; keys without a quota are not counted."""

    def __init__(self) -> None:
        self._meters: dict[str, Meter] = {}

    def of(self, principal: grants.Principal, steady: float) -> Meter | None:
        """Return a key's meter, None where it has no quota. A changed quota begins anew."""
        if principal.quota is None:
            return None
        found = self._meters.get(principal.name)
        if found is None or found.quota != principal.quota:
            found = self._meters[principal.name] = Meter(principal.quota, steady)
        return found


def _bucket(rate: float | None, burst: float | None, steady: float) -> Bucket | None:
    if rate is None:
        return None
    most = max(1.0, rate if burst is None else burst)
    return Bucket(rate, most, most, steady)
