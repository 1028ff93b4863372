"""The audit log: who asked what of which namespace, and what came of it; one line for a request.

It never holds a vector, metadata, a filter, an id or a key. The lines come from the logger
`vectorfleet_gateway.audit`, so that whoever collects logs can tell them apart, and as JSON whatever level
and format the rest of the log has.
"""

import enum
from dataclasses import dataclass

from vectorfleet_runtime import logs

_log = logs.apart(__name__)
_REFUSED = frozenset((401, 403))


class Level(enum.StrEnum):
    """Which requests are logged."""

    OFF = "off"
    CHANGES = "changes"  # those that write, and those that are refused for who asks
    ALL = "all"


@dataclass(slots=True)
class Entry:
    """What is known of a request so far; filled in on its way.

    Attributes:
        request_id: as the answer carries it.
        route: by name; `none` where the path is none.
        changes: whether the route writes.
        principal: name of the key; empty where none was valid.
        namespace: that it is about; None where it is about none, or did not come to name it.
    """

    request_id: str
    route: str
    changes: bool
    principal: str = ""
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """The log of one index's gateway."""

    level: Level = Level.CHANGES
    index: str = ""

    def write(self, entry: Entry, status: int, seconds: float) -> None:
        """Log a request that was answered."""
        wanted = self.level is Level.ALL or (
            self.level is Level.CHANGES and (entry.changes or status in _REFUSED)
        )
        if not wanted:
            return
        fields: dict[str, object] = {
            "principal": entry.principal,
            "action": entry.route,
            "index": self.index,
            "status": status,
            "request_id": entry.request_id,
            "seconds": round(seconds, 6),
        }
        if entry.namespace is not None:
            fields["namespace"] = entry.namespace
        _log.info("audit", extra=fields)
