"""Who speaks on the ways inside of an index, and how a certificate says so. Pure.

A certificate speaks for one role in one index by a name, `<role>.<index>.<namespace>.vectorfleet.internal`.
It is no address: a caller demands it of whomever it reached, and a server of whoever called.
"""

import enum
from dataclasses import dataclass

_DOMAIN = "vectorfleet.internal"


class Role(enum.StrEnum):
    """What a process is to an index."""

    SHARD = "shard"
    GATEWAY = "gateway"
    OPERATOR = "operator"


def counterpart(name: str, role: Role) -> str:
    """Return the DNS name of another role of the index that a party's name is of."""
    return f"{role}.{name.partition('.')[2]}"


@dataclass(frozen=True, slots=True)
class Party:
    """One role in one index."""

    role: Role
    index: str
    namespace: str

    @property
    def name(self) -> str:
        """The DNS name in its certificate."""
        return f"{self.role}.{self.index}.{self.namespace}.{_DOMAIN}"

    def other(self, role: Role) -> "Party":
        """Return another role of the same index."""
        return Party(role, self.index, self.namespace)
