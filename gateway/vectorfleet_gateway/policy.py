"""What a caller may do, decided on the route that a request resolved to, and on the namespace it names. Pure.

Every route names the role that it needs; a route without one could not be written down. Nothing in a
request but its key says who asks: no header marks a caller as one of ours.
"""

import enum
from dataclasses import dataclass

from . import errors, limits


class Role(enum.IntEnum):
    """What a key allows; each role includes those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a key may ask of each gateway; None is without a bound.

    Attributes:
        requests_per_second: on average.
        burst: requests at once after a pause; `requests_per_second` where None.
        rows_per_second: upserted, on average.
        requests_per_day: from midnight to midnight, UTC.
    """

    requests_per_second: float | None = None
    burst: float | None = None
    rows_per_second: float | None = None
    requests_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever holds a key.

    Attributes:
        name: of the key, for logs; never the key itself.
        role: the most that it allows.
        namespaces: those that it allows, None for all.
        expires: seconds since 1970 at which it ends, None for never.
        quota: how much it may ask, None for as much as it likes.
    """

    name: str
    role: Role = Role.ADMIN
    namespaces: frozenset[str] | None = None
    expires: float | None = None
    quota: Quota | None = None

    def may_use(self, namespace: str) -> bool:
        """Tell whether the key allows a namespace; the default one is the empty name."""
        return self.namespaces is None or namespace in self.namespaces


ANYONE = Principal("anyone", Role.READ, frozenset())
"""Whoever asks without a key, where that is allowed; no namespace is theirs."""


def authorize(principal: Principal, needed: Role) -> None:
    """Let a principal pass who has the role, or a greater one.

    Raises:
        PermissionDeniedError: it has not.
    """
    if principal.role < needed:
        raise errors.PermissionDeniedError(f"this key does not allow {needed.name.lower()} requests")


def check_namespace(principal: Principal, namespace: str) -> str:
    """Return a namespace that the key allows.

    Raises:
        PermissionDeniedError: it does not; whether the namespace exists is not told.
    """
    if not principal.may_use(namespace):
        shown = namespace or limits.DEFAULT_NAMESPACE
        raise errors.PermissionDeniedError(f"this key does not allow the namespace {shown[:64]!r}")
    return namespace
