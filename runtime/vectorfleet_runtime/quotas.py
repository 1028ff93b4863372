"""How much each caller may ask: requests and rows a second, requests a day. Pure: the time is given.

A caller is a key, or whom an issuer's tokens name.

A bucket fills at its rate up to its burst; what is taken may leave it in debt, and nothing is granted until
that is paid back. Each process counts for itself, and begins anew when it starts.

Rates go by a `steady` clock, which nobody sets, in seconds from any moment; days by the wall clock, in
seconds since 1970.
"""

from collections import OrderedDict
from dataclasses import dataclass

from . import grants

DAY = 86_400
MOST_ISSUED = 10_000
"""Callers by token that are counted at a time, some 5 MB of them; who asked longest ago begins anew."""


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
    """What one caller has asked.

    Args:
        quota: what it may.
        steady: the time.
        whose: it is, as callers are told.
    """

    def __init__(self, quota: grants.Quota, steady: float, whose: str = "this key") -> None:
        self.quota = quota
        self._whose = whose
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
            raise SpentError(f"{self._whose} may send {most} requests a day (UTC), and has", left)
        if self._requests is not None:
            if wait := self._requests.wait(steady):
                rate = f"{self.quota.requests_per_second:g}"
                raise SpentError(f"{self._whose} may send {rate} requests a second", wait)
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
            rate = f"{self.quota.rows_per_second:g}"
            raise SpentError(f"{self._whose} may write {rate} rows a second", wait)
        self._rows.take(rows)


class Meters:
    """What every caller has asked, by its name; those without a quota are not counted.

    Keys are as many as there are files of them. Whom tokens name may be any number, so of them the ones
    that asked last are kept, apart from keys, which none of them can push out.

    Args:
        most_issued: of them.
    """

    def __init__(self, most_issued: int = MOST_ISSUED) -> None:
        self._meters: dict[str, Meter] = {}
        self._issued: OrderedDict[str, Meter] = OrderedDict()
        self._most_issued = most_issued

    def of(self, principal: grants.Principal, steady: float) -> Meter | None:
        """Return a caller's meter, None where it has no quota. A changed quota begins anew."""
        if principal.quota is None:
            return None
        kept = self._issued if principal.issued else self._meters
        found = kept.get(principal.name)
        if found is None or found.quota != principal.quota:
            whose = "this token's subject" if principal.issued else "this key"
            found = kept[principal.name] = Meter(principal.quota, steady, whose)
        if principal.issued:
            self._issued.move_to_end(principal.name)
            if len(self._issued) > self._most_issued:
                self._issued.popitem(last=False)
        return found


def _bucket(rate: float | None, burst: float | None, steady: float) -> Bucket | None:
    if rate is None:
        return None
    most = max(1.0, rate if burst is None else burst)
    return Bucket(rate, most, most, steady)
