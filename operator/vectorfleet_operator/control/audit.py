"""The audit log of the control plane: who asked what of which index, and what came of it.

Lines have the fields that a gateway's have, and come from the logger `vectorfleet_operator.control.audit`, as
JSON whatever level and format the rest of the log has.
"""

import dataclasses
import enum

from vectorfleet_runtime import logs

_LOG = logs.apart(__name__)
_REFUSED = frozenset((401, 403))


class Level(enum.StrEnum):
    """Which requests are logged."""

    OFF = "off"
    CHANGES = "changes"  # those that change something, and those that are refused for who asks
    ALL = "all"


@dataclasses.dataclass(slots=True)
class Entry:
    """What is known of a request so far.

    Attributes:
        request_id: as the answer carries it.
        action: name of the call; `none` where the path is none.
        changes: whether the call changes something.
        principal: name of the key; empty where none was valid.
        index: that it is about; empty where it is about none, or did not come to name it.
    """

    request_id: str
    action: str = "none"
    changes: bool = False
    principal: str = ""
    index: str = ""


def write(level: Level, entry: Entry, status: int, seconds: float) -> None:
    """Log a request that was answered."""
    wanted = level is Level.ALL or (level is Level.CHANGES and (entry.changes or status in _REFUSED))
    if not wanted:
        return
    fields = {
        "principal": entry.principal,
        "action": entry.action,
        "index": entry.index[:64],
        "status": status,
        "request_id": entry.request_id,
        "seconds": round(seconds, 6),
    }
    _LOG.info("audit", extra=fields)
