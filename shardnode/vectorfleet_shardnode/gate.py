"""Who may write here now, what became of a write, and what a strong read has to see.

The shard's service asks before and after each write. Where there are other replicas, `replication.gate`
answers in the place of `Alone`.
"""

import asyncio
from typing import Protocol

from . import errors, shard, states


class Gate(Protocol):
    """The writes and strong reads of one shard."""

    def admit(self, epoch: int, size: int) -> None:
        """Let a write of `size` bytes through; `epoch` is what its sender believes in, 0 for nothing.

        Raises:
            ShardError: why not; nothing was written.
        """

    async def outcome(self, done: states.Done, size: int) -> states.Written:
        """Wait until a write is acknowledged.

        Raises:
            UnknownOutcomeError: it may or may not happen yet.
            ShardError: it did not happen.
        """
        ...

    async def barrier(self) -> int:
        """Return a seq: a state that holds it holds all that was acknowledged before now.

        Raises:
            ShardError: this replica can't know.
        """
        ...


class Alone:
    """The gate of a shard that has no other replicas: what is on the disk is acknowledged.

    Args:
        served: the shard.
    """

    def __init__(self, served: shard.Shard) -> None:
        self._shard = served

    def admit(self, epoch: int, size: int) -> None:
        """Let a write through unless it was sent for another epoch."""
        del size
        if epoch not in (0, self._shard.epoch):
            raise errors.NotHereError(
                f"this shard is in epoch {self._shard.epoch}; the write was sent for epoch {epoch}"
            )

    async def outcome(self, done: states.Done, size: int) -> states.Written:
        """Wait for the disk."""
        del size
        return await asyncio.wrap_future(done)

    async def barrier(self) -> int:
        """Return the seq of what is visible: nothing else was acknowledged."""
        return self._shard.snapshot.seq
