"""Dates of ISO 8601 as points in time, so that they compare as such: microseconds since 1970 in UTC. Pure.

A date without a zone is in UTC; a date without a time is its midnight. Digits beyond microseconds are cut.
"""

import datetime
import re
from typing import Any

FORM = "a date of ISO 8601, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.fraction]] with Z, +hh:mm or no zone"
_PATTERN = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?([Zz]|[+-]\d\d(:?\d\d)?)?)?", re.ASCII
)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def of(value: Any) -> int | None:
    """Return the instant of a value, None where it is not a string of `FORM`."""
    if not isinstance(value, str) or not _PATTERN.fullmatch(value):
        return None
    try:
        moment = datetime.datetime.fromisoformat(value.upper())
    except ValueError:  # the 30th of February, hour 25
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - _EPOCH) // _MICROSECOND
