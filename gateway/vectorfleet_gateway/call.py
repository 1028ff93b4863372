"""A request as the routes see it, after its route was found and its caller let in. Pure."""

import asyncio
import re
import time
import urllib.parse
from collections.abc import Mapping, Sequence

import msgspec

from vectorfleet_runtime import quotas

from . import audit, errors, limits, policy

MAX_FIELDS = 2_000
"""Fields of a query string; a fetch names each of its ids."""

TIMEOUT_HEADER = "x-request-timeout-ms"
"""How long the caller waits for the answer, in milliseconds from the request's head."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Call(msgspec.Struct, frozen=True):
    """One request.

    Attributes:
        principal: who asks.
        entry: what is written down of the request.
        name: what stands in the path where the route has a name.
        query: values of the query string, by field.
        body: the whole body; empty where the route takes none.
        deadline: the event loop's time by which the answer must be there.
        meter: what the caller's key has asked; None where it has no quota.
    """

    principal: policy.Principal
    entry: audit.Entry
    name: str
    query: Mapping[str, Sequence[str]]
    body: bytes
    deadline: float
    meter: quotas.Meter | None = None

    def charge(self, rows: int) -> None:
        """Count rows that are to be written.

        Raises:
            SpentError: the caller's key has written what it may.
        """
        if self.meter is not None:
            self.meter.charge(rows, time.monotonic())

    def remaining(self) -> float:
        """Return the seconds that are left.

        Raises:
            DeadlineExceededError: there are none.
        """
        left = self.deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise errors.DeadlineExceededError("the request took longer than it may")
        return left

    def namespace(self, name: str | None) -> str:
        """Return the namespace that a name means: "" for none and for `__default__`.

        Raises:
            InvalidArgumentError: the name can't be one.
            PermissionDeniedError: the caller's key does not allow it.
        """
        self.entry.namespace = limits.namespace_of(name)
        return policy.check_namespace(self.principal, self.entry.namespace)

    def check_fields(self, *known: str) -> None:
        """Refuse a query string that has other fields than these."""
        for field in self.query:
            if field not in known:
                raise errors.InvalidArgumentError(
                    f"unknown query field {field[:64]!r}; this route takes {', '.join(known) or 'none'}"
                )

    def text(self, field: str) -> str:
        """Return a field of the query string, or an empty string where it is absent."""
        values = self.query.get(field, ("",))
        if len(values) > 1:
            raise errors.InvalidArgumentError(f"the query field {field} is given {len(values)} times")
        return values[0]

    def number(self, field: str, default: int) -> int:
        """Return a whole number of the query string."""
        if field not in self.query:
            return default
        text = self.text(field)
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise errors.InvalidArgumentError(f"{field} is {text[:32]!r}; it must be a whole number")
        return int(text)


def parse_query(text: str) -> dict[str, list[str]]:
    """Return the fields of a query string.

    Raises:
        InvalidArgumentError: it is not percent-encoded UTF-8, or has too many fields.
    """
    if not text:
        return {}
    try:
        return urllib.parse.parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise errors.InvalidArgumentError("the query string is not percent-encoded UTF-8") from None
    except ValueError:
        raise errors.InvalidArgumentError(f"the query string has more than {MAX_FIELDS} fields") from None


def parse_timeout(text: str | None) -> float | None:
    """Return the seconds that a caller gives its request; None where it says nothing.

    Raises:
        InvalidArgumentError: the header holds no whole number of milliseconds.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise errors.InvalidArgumentError(
            f"{TIMEOUT_HEADER} is {text[:32]!r}; it must be a whole number of milliseconds, 1 or more"
        )
    return int(text) / 1000


def is_request_id(text: str | None) -> bool:
    """Return whether a caller's request id may be written to headers and logs as it is."""
    return text is not None and _REQUEST_ID.fullmatch(text) is not None
