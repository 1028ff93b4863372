"""What a caller may do, decided on the route that a request resolved to. Pure.

Every route names the role that it needs; a route without one could not be written down. Nothing in a
request but its key says who asks: no header marks a caller as one of ours.
"""

import enum
from dataclasses import dataclass

from .. import errors


class Role(enum.IntEnum):
    """What a key allows; each role includes those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever holds a key.

    Attributes:
        name: of the key, for logs; never the key itself.
        role: the most that it allows.
    """

    name: str
    role: Role = Role.ADMIN


def authorize(principal: Principal, needed: Role) -> None:
    """Let a principal pass who has the role, or a greater one.

    Raises:
        PermissionDeniedError: it has not.
    """
    if principal.role < needed:
        raise errors.PermissionDeniedError(f"this key does not allow {needed.name.lower()} requests")
