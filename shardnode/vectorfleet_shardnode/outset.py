"""What a shard is given at the outset: the state that it begins with, and who listens to it."""

import dataclasses
from collections.abc import Callable

from . import errors, replica_state
from .log import recovery
from .snapshot import Snapshot


@dataclasses.dataclass(frozen=True)
class Start:
    """What a shard begins with.

    Attributes:
        state: what manifest and log came to, as far as it is committed.
        found: what the log holds.
        replica: what was promised.
        alone: whether it orders its writes by itself, and what is durable is committed.
    """

    state: Snapshot
    found: recovery.Recovery
    replica: replica_state.Replica
    alone: bool = True


def _nothing(*_: object) -> None:
    """Nobody listens."""


@dataclasses.dataclass(frozen=True)
class Listener:
    """Who is told what becomes of the log. Called in any thread; must be quick and not call the shard.

    Attributes:
        durable: with a seq up to which the log is on the disk, and with `log.cuts` as it was then: what is
            said of records that were cut since has a smaller count.
        failed: with why the log has failed; nothing more can be promised until a restart.
        trimmed: with the seq before the log's first record, when files behind the segments were deleted.
    """

    durable: Callable[[int, int], None] = _nothing
    failed: Callable[[errors.LogFailedError], None] = _nothing
    trimmed: Callable[[int], None] = _nothing
